/** The test images: by number, by class, or those that a network gets wrong. */

import { sampleImages, samples } from "./api.js";
import { confusionOf } from "./confusion.js";
import { find, h } from "./dom.js";
import { pixelCanvas } from "./drawing.js";
import { number, t } from "./i18n.js";
import { Survey } from "./survey.js";

const PAGE = 24;
const SIZE = 28;
const BIT = 300; // ms of looking through test images, until what was found so far is shown
const SIZE_OF_PHOTOGRAPHS = 64;

export class Gallery {
  #facts = null;
  #page = 0;
  #cell = null; // {name, label, predicted} of a number that was pressed in a table
  #images = new Map();

  /** choose(number, pixels, size); sides() are the networks at work; failure(error) is told what the server refuses. */
  constructor({ choose, sides, failure }) {
    Object.assign(this, { choose, sides, failure });
    this.dialog = find("#gallery");
    find("#gallery-open").addEventListener("click", () => this.open());
    for (const choice of ["#gallery-class", "#gallery-wrong"])
      find(choice).addEventListener("change", () => {
        this.#cell = null;
        this.#turn(0);
      });
    find("#gallery-earlier").addEventListener("click", () => this.#turn(this.#page - 1));
    find("#gallery-later").addEventListener("click", () => this.#turn(this.#page + 1));
    find("#gallery-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#byNumber();
    });
  }

  /** {dataset, classes, labels, networks}, or null where the server has none. Throws where it does not answer. */
  async facts() {
    this.#facts ??= await samples().catch((error) => {
      if (error.kind !== "missing") throw error;
      return { missing: true };
    });
    return this.#facts.missing ? null : this.#facts;
  }

  /** "Test image 7 of digits, labelled 3", or nothing where the server has none. */
  async truth(number) {
    const facts = await this.facts().catch(() => null);
    const label = facts?.classes[facts.labels[number]];
    return label === undefined ? null : { label, text: t("gallery.truth", { number, dataset: facts.dataset, label }) };
  }

  /** What is known of a side's network: {accuracy, bytes, predicted}, or null if its file is another. */
  async record(side) {
    const facts = await this.facts().catch(() => null);
    return Object.values(facts?.networks ?? {}).find(({ sha256 }) => sha256 === side.about?.sha256) ?? null;
  }

  async open() {
    const facts = await this.facts().catch((error) => this.failure(error) ?? undefined);
    if (facts === undefined) return;
    find("#gallery-missing").hidden = Boolean(facts);
    find("#gallery-content").hidden = !facts;
    this.dialog.showModal();
    if (!facts) return;
    find("#gallery-number").max = facts.labels.length - 1;
    find("#gallery-count").textContent = t("gallery.count", {
      count: facts.labels.length,
      last: facts.labels.length - 1,
    });
    await this.#fillChoices(facts);
    await this.#turn(0);
  }

  async #fillChoices({ classes }) {
    const choices = find("#gallery-class");
    const chosen = choices.value;
    choices.replaceChildren(
      h("option", { value: "" }, t("gallery.all")),
      ...classes.map((name, index) => h("option", { value: index }, name)),
    );
    choices.value = chosen;
    const wrong = find("#gallery-wrong");
    const before = wrong.value;
    const known = (await Promise.all(this.sides().map(async (side) => [side, await this.record(side)]))).filter(
      ([, record]) => record,
    );
    wrong.replaceChildren(
      h("option", { value: "" }, t("gallery.any")),
      ...known.map(([side]) => h("option", { value: side.name }, t("gallery.wrong", { name: side.name }))),
    );
    wrong.value = known.some(([side]) => side.name === before) ? before : "";
    this.records = new Map(known.map(([side, record]) => [side.name, record]));
    this.#cell = null;
    this.#fillTables();
  }

  #fillTables() {
    const tables = [...this.records].map(([name, record]) =>
      confusionOf(this.#facts, record, name, (label, predicted) => {
        this.#cell = { name, label, predicted };
        this.#turn(0);
        find("#gallery-where").scrollIntoView({ block: "nearest" });
      }),
    );
    const shown = tables.filter(Boolean);
    find("#gallery-confusion").hidden = !shown.length;
    find("#gallery-tables").replaceChildren(...shown);
  }

  #numbers() {
    const { labels } = this.#facts;
    const cell = this.#cell;
    if (cell) {
      const { predicted } = this.records.get(cell.name);
      const isOfCell = (number) => labels[number] === cell.label && predicted[number] === cell.predicted;
      return labels.map((_, number) => number).filter(isOfCell);
    }
    const [kind, wrong] = [find("#gallery-class").value, this.records.get(find("#gallery-wrong").value)];
    const fits = (number) =>
      (kind === "" || labels[number] === Number(kind)) && (!wrong || wrong.predicted[number] !== labels[number]);
    return labels.map((_, number) => number).filter(fits);
  }

  async #turn(page) {
    const numbers = this.#numbers();
    this.#page = Math.max(0, Math.min(page, Math.ceil(numbers.length / PAGE) - 1));
    const shown = numbers.slice(this.#page * PAGE, (this.#page + 1) * PAGE);
    find("#gallery-earlier").disabled = this.#page === 0;
    find("#gallery-later").disabled = (this.#page + 1) * PAGE >= numbers.length;
    find("#gallery-where").textContent = t("gallery.found", { count: numbers.length });
    const thumbs = await this.thumbs(shown, (number) => this.#caption(number));
    find("#gallery-images").replaceChildren(...thumbs);
  }

  #caption(number) {
    const { classes, labels } = this.#facts;
    const wrong = this.records.get(this.#cell?.name ?? find("#gallery-wrong").value);
    return wrong
      ? t("gallery.taken", { label: classes[labels[number]], predicted: classes[wrong.predicted[number]] })
      : classes[labels[number]];
  }

  /** Buttons with the images of those numbers. */
  async thumbs(numbers, captionOf) {
    await this.#fetch(numbers);
    return numbers.map((number) => {
      const canvas = pixelCanvas(this.#images.get(number), this.#size);
      const button = h(
        "button",
        {
          type: "button",
          className: "thumb",
          "aria-label": t("gallery.image", { number, caption: captionOf(number) }),
        },
        canvas,
        h("small", {}, captionOf(number)),
      );
      button.addEventListener("click", () => this.pick(number));
      return button;
    });
  }

  async #fetch(numbers) {
    const missing = numbers.filter((number) => !this.#images.has(number));
    if (!missing.length) return;
    const found = await sampleImages(missing, this.#size);
    missing.forEach((number, index) => this.#images.set(number, found[index]));
  }

  async pick(number) {
    try {
      await this.#fetch([number]);
    } catch (error) {
      return this.failure(error);
    }
    find("dialog[open]")?.close();
    this.choose(number, this.#images.get(number), this.#size);
  }

  get #size() {
    return document.documentElement.classList.contains("photographs") ? SIZE_OF_PHOTOGRAPHS : SIZE;
  }

  /** A test image of a class, another one each time. */
  async pickOfClass(kind) {
    const facts = await this.facts().catch((error) => this.failure(error));
    if (!facts) return;
    const numbers = facts.labels.flatMap((label, number) => (label === kind ? [number] : []));
    if (numbers.length) await this.pick(numbers[Math.floor(Math.random() * numbers.length)]);
  }

  /** Of the test images, for the network of a side. */
  async survey({ model }) {
    const { labels } = await this.facts();
    if (!this.#surveys.has(model.version)) {
      const imagesOf = async (numbers) => {
        const grey = await sampleImages(numbers, model.shape[1]);
        return grey.map((pixels) => inChannels(pixels, model.shape));
      };
      this.#surveys.set(model.version, new Survey(model, labels.length, imagesOf));
    }
    return this.#surveys.get(model.version);
  }

  #surveys = new Map(); // by version

  async pixels(number, size) {
    return (await sampleImages([number], size))[0];
  }

  async #byNumber() {
    const field = find("#gallery-number");
    const number = field.valueAsNumber;
    if (Number.isInteger(number) && number >= 0 && number < this.#facts.labels.length) await this.pick(number);
  }

  /** The images that excite a unit most, into an element: those found so far, until all have been searched. */
  async showStrongest(element, side, layer, unit) {
    const note = (text) => h("p", { className: "note" }, text);
    try {
      const facts = await this.facts();
      if (!facts) return element.replaceChildren(note(t("gallery.none")));
      const survey = await this.survey(side);
      for (let all = false, first = true; !all && (first || element.isConnected); first = false) {
        await survey.goOn(BIT);
        const { searched, of } = survey;
        all = searched >= of;
        const best = survey.strongest(layer, unit);
        const excited = new Map(best.filter(({ value }) => value > 0).map(({ image, value }) => [image, value]));
        const caption = (image) => `${facts.classes[facts.labels[image]]}: ${number(excited.get(image))}`;
        const thumbs = await this.thumbs([...excited.keys()], caption);
        const silent = t("filter.silent", { most: number(best[0].value) });
        if (!thumbs.length && all) thumbs.push(note(silent));
        element.replaceChildren(...thumbs, all ? "" : note(t("filter.searching", { searched, of })));
      }
    } catch {
      element.replaceChildren(note(t("gallery.away")));
    }
  }
}

/** Grey pixels once for each channel that a network takes; others as they are. */
function inChannels(pixels, [channels, height, width]) {
  if (pixels.length === channels * height * width) return pixels;
  return Uint8Array.from({ length: channels * height * width }, (_, at) => pixels[at % (height * width)]);
}
