/** Every drawing goes to every network at once; only photographs need the server to prepare them. */

import { photograph } from "./api.js";
import { SIDE } from "./drawing.js";
import { prepared } from "./prepare.js";

const RETRY = 1500; // ms after the server did not answer
const SOON = 250; // ms, and up to twice as much: a class asks at once, and need not ask again at once
const PATIENCE = 4000; // ms of refusals, before the reader hears of it
const REST = 200; // ms without a change, then maps may change their places
const NOTICES = {
  gone: "gone",
  busy: "busy",
  missing: "missing",
  locked: "locked",
  large: "too-large",
  refused: "no-digit",
  alone: "alone",
  integers: "integers",
  operator: "operator",
  version: "version",
};
const PASSING = ["gone", "busy", "missing"]; // asked again until over
const OVER = [...PASSING, "no-digit", "locked", "alone"]; // once there is an answer

export class Asking {
  #retry = 0;
  #rest = 0;
  #busySince = null;

  /** Told of: nothing(side) where no digit was found, lost() when the networks are. */
  constructor({ pad, gallery, notices, choice, told }) {
    Object.assign(this, { pad, gallery, notices, choice, told });
  }

  /** `at`: the moment of the event that the picture answers. */
  whileDrawing(at) {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.settled(null), REST);
    return this.#ask(at, false);
  }

  settled(at) {
    clearTimeout(this.#rest);
    return this.#ask(at, true);
  }

  #ask(at, settled) {
    clearTimeout(this.#retry);
    const blank = this.pad.drawing.isEmpty;
    const imageFor = (side) => this.#imageFor(side);
    return Promise.all(this.choice.sides.map((side) => side.show({ blank, at, settled, imageFor })));
  }

  async #imageFor(side) {
    const { base, strokes } = this.pad.drawing;
    const count = side.shape.reduce((a, b) => a * b);
    if (base?.kind === "picture") return photograph(side.name, strokes.length ? this.pad.png() : base.png);
    if (base && !strokes.length && base.size === side.size && base.pixels.length === count) return base.pixels;
    const isSample = base?.kind === "sample" && !strokes.length;
    const sample = isSample ? await this.gallery.pixels(base.number, side.size) : [];
    if (sample.length === count) return sample;
    const board = { data: this.pad.picture(), height: SIDE, width: SIDE };
    return prepared(board, side.shape, side.model.preparation);
  }

  succeeded() {
    this.#busySince = null;
    for (const notice of OVER) this.notices.hide(notice);
    document.documentElement.classList.remove("stale");
  }

  failed(side, error) {
    const notice = NOTICES[error.kind];
    if (!notice) throw error;
    if (["no-digit", "alone"].includes(notice) && side) this.told.nothing(side);
    if (notice === "busy" && side && performance.now() - (this.#busySince ??= performance.now()) < PATIENCE) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.settled(performance.now()), SOON * (1 + Math.random()));
      return;
    }
    this.notices.show(notice, { name: side?.name ?? "", detail: error.message });
    if (!PASSING.includes(notice)) return;
    document.documentElement.classList.add("stale"); // what is shown belongs to an earlier drawing
    clearTimeout(this.#retry);
    this.#retry = setTimeout(
      () => (this.choice.sides.length && notice !== "missing" ? this.settled(performance.now()) : this.told.lost()),
      RETRY,
    );
  }
}
