/** Challenges for a class: one sentence each, solved when the networks say so. */

import { find, findAll, h, remembered } from "./dom.js";
import { t } from "./i18n.js";

const FURTHEST = 3; // pixels that an image may be moved
const ARROWS = { ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowRight: [0, 1] };
const isConvolutional = ({ model }) => model.layers.some(({ kind }) => kind === "convolution");
const mostOf = (shares) => shares.indexOf(Math.max(...shares));

/** Each takes the sides that have answers and the drawing, its base with the `label` of its test image. */
const SOLVED = {
  "challenge.move": ([one, other], { base, strokes }) =>
    Boolean(other && base?.moved && base.label === "7" && !strokes.length) &&
    isConvolutional(one) !== isConvolutional(other) &&
    [one, other].every((side) => (side.answer.label === "7") === isConvolutional(side)),
  "challenge.change": ([{ answer }], { base, strokes }) =>
    base?.label === "8" && strokes.length > 0 && strokes.length <= 3 && answer.label === "3",
  "challenge.filter": ([{ ablated, untouched, answer }]) =>
    ablated.length === 1 && untouched !== null && mostOf(untouched) !== answer.index,
  "challenge.sure": ([{ answer }], { base, strokes }) =>
    !base && strokes.length === 1 && !answer.doubt && answer.confidence >= 0.99,
  "challenge.quarrel": ([one, other]) =>
    Boolean(other) && one.answer.label !== other.answer.label && [one, other].every(({ answer }) => answer.confidence >= 0.8),
};
const STARTS = { "challenge.move": 7, "challenge.change": 8 }; // class of the test image that one starts from

export class Challenges {
  /** drawing; change(work) changes it; pick(class) → a test image of it; solved(sentence) is told of each once. */
  constructor({ drawing, change, pick, solved }) {
    Object.assign(this, { drawing, change, pick, solved });
    this.dialog = find("#challenges");
    find("#challenges-open").addEventListener("click", () => {
      this.render();
      this.dialog.showModal();
    });
    document.addEventListener("keydown", (event) => this.#key(event));
    for (const button of findAll("#movers [data-arrow]"))
      button.addEventListener("click", () => this.move(...ARROWS[button.dataset.arrow]));
  }

  get done() {
    return (remembered.get("solved") ?? "").split(" ");
  }

  /** Looks at a new answer. */
  look(sides) {
    if (!sides.length || this.drawing.live) return;
    for (const [key, isSolved] of Object.entries(SOLVED)) {
      if (this.done.includes(key) || !isSolved(sides, this.drawing)) continue;
      remembered.set("solved", [...this.done, key].join(" "));
      this.solved(t(key));
    }
  }

  render() {
    const item = (key) => {
      const isDone = this.done.includes(key);
      const start = h("button", { type: "button" }, t("challenge.start", { label: String(STARTS[key] ?? "") }));
      start.addEventListener("click", async () => {
        this.dialog.close();
        await this.pick(STARTS[key]);
        this.change(() => this.drawing.replace({ ...this.drawing.base, label: String(STARTS[key]) }));
      });
      const mark = h("b", {}, isDone ? t("challenge.done") : "");
      return h("li", {}, t(key), " ", mark, key in STARTS ? h("p", {}, start) : null);
    };
    find("#challenges-list").replaceChildren(...Object.keys(SOLVED).map(item));
  }

  /** Alt and an arrow move a test image by a pixel: as nothing else, it is not centred again. */
  #key(event) {
    if (!event.altKey || !ARROWS[event.key]) return;
    event.preventDefault();
    this.move(...ARROWS[event.key]);
  }

  move(down, across) {
    const { base, strokes } = this.drawing;
    if (!base?.pixels || strokes.length) return;
    const { size, label } = base;
    const moved = [(base.moved?.[0] ?? 0) + down, (base.moved?.[1] ?? 0) + across];
    if (moved.some((steps) => Math.abs(steps) > FURTHEST)) return;
    const pixels = new Uint8Array(base.pixels.length);
    pixels.forEach((_, at) => {
      const [y, x] = [(Math.floor(at / size) % size) - down, (at % size) - across];
      if (y >= 0 && x >= 0 && y < size && x < size) pixels[at] = base.pixels[at - down * size - across];
    });
    this.change(() => this.drawing.replace({ kind: "pixels", size, pixels, label, moved }));
  }
}
