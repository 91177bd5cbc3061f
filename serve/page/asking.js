/** Every drawing goes to every network: at once what is in sight, and when the hand rests all there is. */

const RETRY = 1500; // ms after the server did not answer
const SOON = 250; // ms, and up to twice as much: a class draws at once, and need not ask again at once
const PATIENCE = 4000; // ms of refusals, before the reader hears of it
const REST = 200; // ms without a change, then the layers out of sight are brought up to date
const NOTICES = {
  gone: "gone",
  busy: "busy",
  missing: "missing",
  locked: "locked",
  large: "too-large",
  refused: "no-digit",
};
const PASSING = ["gone", "busy", "missing"]; // asked again until over
const OVER = [...PASSING, "no-digit", "locked"]; // once there is an answer

export class Asking {
  #retry = 0;
  #rest = 0;
  #busySince = null;

  /** Told of: inSight(side) → names of layers, nothing(side) where no digit was found, lost() when the networks are. */
  constructor({ pad, gallery, notices, choice, told }) {
    Object.assign(this, { pad, gallery, notices, choice, told });
  }

  /** `at`: the moment of the event that the picture answers. */
  everything(at) {
    clearTimeout(this.#rest);
    return this.#ask(at, () => null);
  }

  whatIsInSight(at) {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.everything(null), REST);
    return this.#ask(at, this.told.inSight);
  }

  #ask(at, layersOf) {
    clearTimeout(this.#retry);
    const blank = this.pad.drawing.isEmpty;
    let png = null;
    const bodyFor = (side) => this.#bodyFor(side, blank, () => (png ??= this.pad.png()));
    return Promise.all(this.choice.sides.map((side) => side.show({ blank, at, bodyFor, layersOf })));
  }

  async #bodyFor(side, blank, png) {
    const { base, strokes } = this.pad.drawing;
    const raw = (body) => ({ body, type: "application/octet-stream" });
    const grey = side.shape[0] === 1;
    if (blank) return raw(new Uint8Array(side.shape.reduce((a, b) => a * b)));
    if (!base || strokes.length) return { body: png(), type: "image/png" };
    if (base.kind === "picture") return { body: base.png, type: "image/png" };
    if (base.size === side.size && grey) return raw(base.pixels);
    if (base.kind === "sample" && grey) return raw(await this.gallery.pixels(base.number, side.size));
    return { body: png(), type: "image/png" };
  }

  succeeded() {
    this.#busySince = null;
    for (const notice of OVER) this.notices.hide(notice);
    document.documentElement.classList.remove("stale");
  }

  failed(side, error) {
    const notice = NOTICES[error.kind];
    if (!notice) throw error;
    if (notice === "no-digit") this.told.nothing(side);
    if (notice === "no-digit" && this.pad.drawing.base?.kind !== "picture") return; // a dot is no digit yet
    if (notice === "busy" && side && performance.now() - (this.#busySince ??= performance.now()) < PATIENCE) {
      clearTimeout(this.#retry);
      this.#retry = setTimeout(() => this.everything(performance.now()), SOON * (1 + Math.random()));
      return;
    }
    this.notices.show(notice, { name: side?.name ?? "", detail: error.message });
    if (!PASSING.includes(notice)) return;
    document.documentElement.classList.add("stale"); // what is shown belongs to an earlier drawing
    clearTimeout(this.#retry);
    this.#retry = setTimeout(
      () => (this.choice.sides.length && notice !== "missing" ? this.everything(performance.now()) : this.told.lost()),
      RETRY,
    );
  }
}
