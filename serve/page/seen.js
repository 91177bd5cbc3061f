/** The image as the network sees it: at its true size, magnified, and traced back to the drawing. */

import { palette } from "./colours.js";
import { find, say, sharp } from "./dom.js";
import { SIDE, putPixels } from "./drawing.js";
import { t } from "./i18n.js";
import { inkBox } from "./pad.js";

const tall = matchMedia("(min-height: 860px)");
const large = () => (tall.matches ? 140 : 84); // CSS pixels

export class Seen {
  #field = null;
  #image = null;
  #label = "";

  constructor() {
    this.large = find("#seen-large");
    this.small = find("#seen-true");
    this.words = find("#seen-size");
  }

  show([side]) {
    const image = side?.answer.image;
    this.#image = image ? { pixels: image.data, size: image.shape[2] } : null;
    this.#paint();
    const size = this.#image?.size ?? 28;
    say(this.words, t("seen.size", { size }));
    const label = t(image ? "seen.label" : "seen.empty", { size });
    if (label === this.#label) return;
    this.#label = label;
    for (const canvas of [this.large, this.small]) canvas.setAttribute("aria-label", label);
  }

  highlight(field) {
    this.#field = field;
    this.#paint();
  }

  #paint() {
    const size = this.#image?.size ?? 28;
    const scale = Math.max(1, Math.round(large() / size));
    const pixels = this.#image?.pixels ?? new Uint8Array(size * size);
    putPixels(this.small, pixels, size);
    for (const [canvas, factor] of [
      [this.small, 1],
      [this.large, scale],
    ])
      canvas.style.width = canvas.style.height = `${size * factor}px`;
    if (this.#field) this.#paintField(size, scale);
    else putPixels(this.large, pixels, size);
  }

  #paintField(size, scale) {
    const context = sharp(this.large, size * scale, size * scale);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.small, 0, 0, size * scale, size * scale);
    outline(context, this.#field, scale, size * scale);
  }

  /** The field of the image as shares of the drawing's side: the preparation moved and scaled the ink's box. */
  onDrawing(side, field, drawing, pad) {
    if (!field || drawing.isEmpty || side.blank) return null;
    const [, size] = side.shape;
    const pixels = pad.pixels();
    if (drawing.base?.kind === "picture" && !drawing.base.dark)
      for (let index = 0; index < pixels.length; index++) pixels[index] = 255 - pixels[index];
    const [from, to] = [inkBox(side.answer.image.data, size), inkBox(pixels, SIDE)];
    if (!from || !to) return null;
    const place = (value, low, high) =>
      to[low] + ((value - from[low]) / (from[high] - from[low])) * (to[high] - to[low]);
    const [top, bottom] = [field.rows[0], field.rows[1] + 1].map((row) => place(row / size, "top", "bottom"));
    const [left, right] = [field.columns[0], field.columns[1] + 1].map((column) =>
      place(column / size, "left", "right"),
    );
    return { left, top, right, bottom };
  }
}

function outline(context, { rows, columns }, scale, side) {
  const [x, y] = [columns[0] * scale, rows[0] * scale];
  const [width, height] = [(columns[1] - columns[0] + 1) * scale, (rows[1] - rows[0] + 1) * scale];
  context.fillStyle = "rgb(0 0 0 / 55%)";
  context.beginPath();
  context.rect(0, 0, side, side);
  context.rect(x, y, width, height);
  context.fill("evenodd");
  context.lineWidth = 2;
  context.strokeStyle = palette["focus-on-dark"];
  context.strokeRect(x + 1, y + 1, width - 2, height - 2);
}
