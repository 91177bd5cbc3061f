/** Why this class, why not that: which ink speaks for and against it, and which test images look alike to the network. */

import { largest } from "./colours.js";
import { find, h, say } from "./dom.js";
import { pixelCanvas } from "./drawing.js";
import { run } from "./engine.js";
import { draw } from "./figures.js";
import { number, percent, t } from "./i18n.js";

const SIZE = 144; // CSS pixels
const BATCH = 8; // windows in one run, so that it can be left at once
const NEAREST = 6; // test images
const BIT = 300; // ms of looking through test images, until what was found so far is shown

export class Reasons {
  #round = 0;
  #chosen = 0; // class

  /** sides() have answers; nothing() is done without a drawing; fooled(label, side) where another class was meant. */
  constructor({ sides, gallery, nothing, fooled }) {
    Object.assign(this, { sides, gallery, nothing });
    this.meant = find("#reasons-meant");
    this.meant.addEventListener("click", () => {
      const side = this.sides()[0];
      if (fooled(side.answer.classes[this.#chosen], side)) say(this.meant, t("fooled.kept"));
    });
    this.dialog = find("#reasons");
    this.dialog.addEventListener("close", () => this.#round++);
    find("#reasons-open").addEventListener("click", () => this.open());
    find("#bars").addEventListener("click", ({ target }) => {
      const row = target.closest("li");
      if (row) this.open([...row.parentElement.children].indexOf(row));
    });
  }

  open(index) {
    const sides = this.sides();
    if (!sides.length) return this.nothing();
    if (!this.dialog.open) this.dialog.showModal();
    const chosen = index ?? sides[0].answer.index;
    const round = ++this.#round;
    this.#chosen = chosen;
    this.meant.hidden = sides.every(({ answer }) => answer.index === chosen);
    say(this.meant, t("fooled.meant", { label: sides[0].answer.classes[chosen] }));
    const { classes } = sides[0].answer;
    const choice = (name, at) => {
      const button = h("button", { type: "button", "aria-pressed": at === chosen }, name);
      button.addEventListener("click", () => this.open(at));
      return button;
    };
    find("#reasons-classes").replaceChildren(...classes.map(choice));
    const parts = sides.map((side) => this.#part(side, chosen, sides.length > 1));
    find("#reasons-sides").replaceChildren(...parts.map(({ element }) => element));
    const goes = () => round === this.#round;
    for (const part of parts) this.#fill(part, goes);
  }

  #part(side, index, named) {
    const { answer } = side;
    const label = answer.classes[index];
    const map = h("canvas", { role: "img", "aria-label": t("reasons.map", { label }) });
    const image = pixelCanvas(answer.image.data, side.size);
    image.style.width = map.style.width = `${SIZE}px`;
    const [scale, thumbs] = [h("p", { className: "note" }), h("div", { className: "thumbs" })];
    const element = h(
      "section",
      {},
      named ? h("h3", { lang: "en" }, side.name) : null,
      h("p", {}, t("reasons.for", { label, share: percent(answer.probabilities[index]) })),
      h("div", { className: "enlarged" }, image, map),
      scale,
      h("h3", {}, t("reasons.near")),
      thumbs,
    );
    return { side, index, map, scale, thumbs, element };
  }

  async #fill(part, goes) {
    await this.#weighInk(part, goes);
    await this.#findAlike(part, goes);
  }

  async #weighInk({ side: { answer, size, model }, index, map, scale }, goes) {
    const { data } = answer.image;
    const values = new Float32Array(size * size);
    const places = inked(data, size);
    for (let start = 0; start < places.length && goes(); start += BATCH) {
      const batch = places.slice(start, start + BATCH);
      const found = await run(model.version, "reasons", data, batch, index);
      batch.forEach((place, at) => (values[place] = found[at]));
      const most = largest(values);
      draw(map, values, size, size, most, SIZE);
      say(scale, t("reasons.scale", { most: number(most) }));
    }
  }

  async #findAlike({ side, thumbs }, goes) {
    const note = (text) => h("p", { className: "note" }, text);
    try {
      const facts = await this.gallery.facts();
      if (!facts) return thumbs.replaceChildren(note(t("gallery.none")));
      const survey = await this.gallery.survey(side);
      const { features } = await run(side.model.version, "peaks", side.answer.image.data);
      for (let all = false; !all && goes(); ) {
        await survey.goOn(BIT);
        all = survey.searched >= survey.of;
        const alike = survey.nearest(features, NEAREST);
        const shown = await this.gallery.thumbs(alike, (image) => facts.classes[facts.labels[image]]);
        const { searched, of } = survey;
        if (goes()) thumbs.replaceChildren(...shown, all ? "" : note(t("filter.searching", { searched, of })));
      }
    } catch {
      thumbs.replaceChildren(note(t("gallery.away")));
    }
  }
}

/** Pixels around which there is ink: elsewhere nothing can be taken away. */
function inked(pixels, size) {
  const has = (row, column) => row >= 0 && column >= 0 && row < size && column < size && pixels[row * size + column] > 0;
  const near = [-1, 0, 1];
  return Array.from({ length: size * size }, (_, at) => at).filter((at) =>
    near.some((down) => near.some((across) => has(Math.floor(at / size) + down, (at % size) + across))),
  );
}
