/** One network at work on the drawing: asks the server, keeps its weights, drops what is stale. */

import { Latest, explain, infer, metadata } from "./api.js";

export class Side {
  name = "";
  about = null; // the server's metadata
  answer = null; // the newest, with the weights in its layers
  untouched = null; // probabilities without anything switched off
  ablated = [];
  seconds = null;
  #whole = null; // the newest answer of this version
  #generation = 0;
  #asked = 0; // requests so far
  #shown = 0; // the number of the one whose answer is shown
  #latest = new Latest((request) => this.#run(request));

  /** Told of: answer(side, input), failure(side, error), replaced(side). */
  constructor(told) {
    this.told = told;
  }

  async use(name) {
    this.#generation++;
    Object.assign(this, { name, about: null, answer: null, untouched: null, ablated: [], seconds: null });
    this.#whole = null;
    if (!name) return;
    const generation = this.#generation;
    const about = await metadata(name);
    if (generation === this.#generation) this.about = about;
  }

  get shape() {
    return this.about.inputs[0].shape.slice(1);
  }

  get size() {
    return this.shape[1];
  }

  /** Input: {blank, at, bodyFor(side), layersOf(side): names, or null for all}. Answers to earlier inputs no longer count once `forget` was called. */
  async show(input) {
    if (!this.about) return; // just chosen: it will be asked when it is known
    await this.#latest.ask({ input, generation: this.#generation });
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
    if (generation !== this.#generation) return;
    const number = ++this.#asked;
    const isStale = () => generation !== this.#generation || number < this.#shown;
    try {
      const answer = await this.#explained(input);
      const untouched =
        this.ablated.length && !input.blank ? await infer(this.name, answer.image.data, this.shape) : null;
      if (isStale()) return;
      this.#shown = number;
      this.answer = this.#completed(answer);
      this.untouched = untouched;
      this.told.answer(this, input);
    } catch (error) {
      if (!isStale()) this.told.failure(this, error);
    }
  }

  async #explained({ bodyFor, layersOf }) {
    const content = await bodyFor(this);
    const { name, ablated: ablate } = this;
    const first = !this.#whole;
    const layers = first ? null : layersOf(this);
    const answer = await explain(name, content, { ablate, layers, weights: first });
    if (first || this.#whole?.version === answer.version) return answer;
    this.told.replaced(this);
    this.#whole = null;
    this.about = await metadata(name);
    return explain(name, content, { ablate, layers: null, weights: true });
  }

  /** With the layers that were not asked for as they were, and the weights, which were asked for only once. */
  #completed(answer) {
    answer.fresh = new Set(answer.layers.map(({ name }) => name));
    if (this.#whole?.version === answer.version) {
      const fresh = new Map(answer.layers.map((layer) => [layer.name, layer]));
      answer.layers = this.#whole.layers.map((old) => {
        const layer = fresh.get(old.name);
        return layer ? Object.assign(layer, { weights: old.weights }) : old;
      });
    }
    this.#whole = answer;
    return answer;
  }

  /** Median seconds of a few answers, from request to reply. */
  async measure() {
    const times = [];
    const [pixels, shape, name] = [new Uint8Array(this.shape.reduce((a, b) => a * b)), this.shape, this.name];
    for (let count = 0; count < 15; count++) {
      const started = performance.now();
      await infer(name, pixels, shape);
      times.push(performance.now() - started);
    }
    this.seconds = times.sort((a, b) => a - b)[7] / 1000;
  }
}
