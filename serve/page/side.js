/** One network at work on the drawing, in this browser; what is stale is dropped. */

import { Latest, metadata, network } from "./api.js";
import { opened, run } from "./engine.js";
import { isAlone } from "./home.js";
import { sizeOf } from "./network.js";

const LOOK = 10_000; // ms between two looks, while somebody draws, whether the server has a newer version
const TIMED = 5; // runs of which the median is told

export class Side {
  static look = LOOK;
  name = "";
  about = null; // what is said of the network
  model = null; // its layers and weights
  answer = null; // the newest
  untouched = null; // probabilities without anything switched off
  ablated = [];
  seconds = null;
  #looked = 0;
  #generation = 0;
  #asked = 0; // runs so far
  #shown = 0; // the number of the one whose answer is shown
  #away = 0; // photographs on their way, which must not hold up the next stroke
  #latest = new Latest(
    (request) => this.#run(request),
    () => 1 + this.#away,
  );

  /** Told of: answer(side, input), nothing(side) without a digit, failure(side, error), replaced(side). */
  constructor(told) {
    this.told = told;
  }

  async use(name) {
    const generation = ++this.#generation;
    const nothing = { about: null, model: null, answer: null, untouched: null, ablated: [], seconds: null };
    Object.assign(this, nothing, { name });
    if (!name) return;
    const about = await metadata(name);
    const model = await opened(await network(name, about.versions[0]));
    if (generation === this.#generation) Object.assign(this, { about, model });
    this.#looked = performance.now();
  }

  get shape() {
    return this.model.shape;
  }

  get size() {
    return this.shape[1];
  }

  /** Input: {blank, at, settled, imageFor(side) → pixels, or null without a digit}. Answers to earlier inputs no longer
   * count once `forget` was called. */
  async show(input) {
    if (!this.model) return; // just chosen: it will be asked when it is known
    await this.#latest.ask({ input, generation: this.#generation });
    if (!input.blank) this.#lookForAnother();
  }

  forget() {
    this.#generation++;
  }

  switch(layer, unit, off) {
    this.ablated = this.ablated.filter((each) => each.layer !== layer || each.unit !== unit);
    if (off) this.ablated.push({ layer, unit });
  }

  isOff(layer, unit) {
    return this.ablated.some((each) => each.layer === layer && each.unit === unit);
  }

  async #run({ input, generation }) {
    const number = ++this.#asked;
    const isStale = () => generation !== this.#generation || number < this.#shown;
    if (isStale()) return;
    try {
      const image = input.blank ? new Uint8Array(this.shape.reduce((a, b) => a * b)) : await this.#imageOf(input);
      const found = image && (await run(this.model.version, "explained", image, this.ablated));
      if (isStale()) return;
      this.#shown = number;
      if (!found) return this.told.nothing(this);
      this.untouched = found.untouched;
      this.answer = this.#answerOf(image, found);
      this.told.answer(this, input);
    } catch (error) {
      if (!isStale()) this.told.failure(this, error);
    }
  }

  async #imageOf({ imageFor }) {
    this.#away++;
    try {
      return await imageFor(this);
    } finally {
      this.#away--;
    }
  }

  #answerOf(image, { outputs, doubt }) {
    const { version, network, classes, shape, answer } = this.model;
    const layers = this.model.layers.map((layer, index) => ({ ...layer, output: outputs[index] }));
    const probabilities = Array.from(layers.find(({ name }) => name === answer).output);
    const index = probabilities.indexOf(Math.max(...probabilities));
    const verdict = { label: classes[index], index, confidence: probabilities[index], doubt, probabilities };
    return { model: this.name, version, network, classes, ...verdict, image: { shape, data: image }, layers };
  }

  /** Now and then, while somebody draws. */
  async #lookForAnother() {
    if (isAlone || performance.now() - this.#looked < Side.look) return;
    this.#looked = performance.now();
    const { name } = this;
    try {
      const about = await metadata(name);
      if (name !== this.name || about.versions[0] === this.model?.version) return;
      const model = await opened(await network(name, about.versions[0]));
      if (name !== this.name) return;
      Object.assign(this, { about, model });
      this.told.replaced(this);
    } catch (error) {
      if (!["gone", "busy"].includes(error.kind)) this.told.failure(this, error); // else the page goes on by itself
    }
  }

  /** Median seconds of a few runs. */
  async measure() {
    const image = new Uint8Array(sizeOf(this.model));
    const times = [];
    for (let count = 0; count < TIMED; count++)
      times.push((await run(this.model.version, "explained", image, [])).milliseconds);
    this.seconds = times.sort((a, b) => a - b)[TIMED >> 1] / 1000;
  }
}
