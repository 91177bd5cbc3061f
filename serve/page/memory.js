/** The drawing of a link, and that of the last visit. */

import { remembered } from "./dom.js";
import { fromLink, toLink } from "./drawing.js";

const SIZE = 28; // pixels a side of a test image
const AFTER = 400; // ms after the last stroke

export class Memory {
  #timer = 0;

  /** prepared() is the image that the network saw last. */
  constructor(pad, gallery, prepared) {
    Object.assign(this, { pad, gallery, prepared });
  }

  keepSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => remembered.set("drawing", toLink(this.pad.drawing, this.prepared()).toString()),
      AFTER,
    );
  }

  /** "opened", "rubbish", or "none" where the link holds no drawing. Rubbish leaves the drawing as it is. */
  async openLink(parameters) {
    if (!["s", "t", "i"].some((key) => parameters.has(key))) return "none";
    try {
      await this.#open(fromLink(parameters));
      return "opened";
    } catch {
      return "rubbish";
    }
  }

  async openLast() {
    const opened = await this.openLink(new URLSearchParams(remembered.get("drawing") ?? ""));
    if (opened === "rubbish") remembered.set("drawing", "");
  }

  async #open({ sample, pixels, strokes }) {
    const base = await this.#base(sample, pixels);
    if (base || strokes.length) this.pad.change((drawing) => drawing.replace(base, strokes));
  }

  async #base(sample, pixels) {
    if (pixels) return { kind: "pixels", size: Math.sqrt(pixels.length), pixels };
    if (sample === null) return null;
    return { kind: "sample", number: sample, size: SIZE, pixels: await this.gallery.pixels(sample, SIZE) };
  }
}
