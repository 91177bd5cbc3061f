/** A drawing: an image to start from, or none, and strokes on it; with every earlier state, to undo. */

import { paintColour, paintGrey } from "./colours.js";

export const SIDE = 112; // pixels of the picture that the server gets
export const BOARD = { left: 0, top: 0, side: 1 };
const PAPER = 0.2; // left around the ink, share of its longer side
const BROADEST = 0.16; // stroke that is sent, share of the drawing's longer side: wider ones would close a small digit's loops
const EMPTY = { base: null, strokes: [] };
const UNITS = 65535; // of a coordinate in a link
const WIDEST = 32767; // units of a stroke's width
const ERASE = 32768;
const MOST_BYTES = 40000; // of strokes in a link

/** A stroke is {erase, width, points: [x, y, x, y, …]}; widths and coordinates are shares of the side.
 *  A base is {kind: "sample", number, size, pixels}, {kind: "pixels", size, pixels} or {kind: "picture", bitmap, png, dark}.
 */
export class Drawing {
  #states = [EMPTY];
  #at = 0;
  live = null;

  get state() {
    return this.#states[this.#at];
  }

  get base() {
    return this.state.base;
  }

  get strokes() {
    return this.live ? [...this.state.strokes, this.live] : this.state.strokes;
  }

  get isEmpty() {
    return !this.base && !this.strokes.some(({ erase }) => !erase);
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#states.length - 1;
  }

  begin(stroke) {
    this.live = stroke;
  }

  commit() {
    if (!this.live) return;
    const strokes = this.strokes;
    this.live = null;
    this.#add({ base: this.base, strokes });
  }

  replace(base, strokes = []) {
    this.live = null;
    this.#add({ base, strokes });
  }

  clear() {
    if (!this.isEmpty || this.strokes.length) this.replace(null);
  }

  undo() {
    this.live = null;
    if (this.canUndo) this.#at--;
  }

  redo() {
    this.live = null;
    if (this.canRedo) this.#at++;
  }

  #add(state) {
    this.#states = [...this.#states.slice(Math.max(0, this.#at - 99), this.#at + 1), state];
    this.#at = this.#states.length - 1;
  }
}

/** The square that is worth sending, in shares of the board's side: the ink, wherever it is, with paper around it. */
export function frameOf({ base, strokes }) {
  const ink = strokes.filter(({ erase }) => !erase);
  if (base || !ink.length) return BOARD;
  let [left, top, right, bottom] = [1, 1, 0, 0];
  for (const { width, points } of ink) {
    for (let index = 0; index < points.length; index += 2) {
      left = Math.min(left, points[index] - width / 2);
      right = Math.max(right, points[index] + width / 2);
      top = Math.min(top, points[index + 1] - width / 2);
      bottom = Math.max(bottom, points[index + 1] + width / 2);
    }
  }
  const side = Math.max(right - left, bottom - top) * (1 + 2 * PAPER);
  return { left: (left + right - side) / 2, top: (top + bottom - side) / 2, side };
}

/** The drawing as by a pen that suits its size. */
export function thinned({ base, strokes }) {
  const ink = strokes.filter(({ erase }) => !erase);
  if (base || !ink.length) return { base, strokes };
  const ends = [0, 1].map((axis) => {
    const along = ink.flatMap(({ points }) => points.filter((_, index) => index % 2 === axis));
    return along.reduce((most, each) => Math.max(most, each), 0) - along.reduce((least, each) => Math.min(least, each), 1);
  });
  const widest = BROADEST * Math.max(...ends) || Infinity;
  return { base, strokes: strokes.map((each) => (each.erase ? each : { ...each, width: Math.min(each.width, widest) })) };
}

/** Draws it all on a context whose side is `side` pixels. */
export function render(context, drawing, side) {
  const { base } = drawing;
  const paper = base?.kind === "picture" && !base.dark ? "#fff" : "#000";
  const ink = paper === "#fff" ? "#000" : "#fff";
  context.fillStyle = paper;
  context.fillRect(0, 0, side, side);
  if (base) drawBase(context, base, side);
  context.lineCap = context.lineJoin = "round";
  for (const { erase, width, points } of drawing.strokes) {
    context.strokeStyle = context.fillStyle = erase ? paper : ink;
    context.lineWidth = width * side;
    context.beginPath();
    context.moveTo(points[0] * side, points[1] * side);
    for (let index = 2; index < points.length; index += 2)
      context.lineTo(points[index] * side, points[index + 1] * side);
    if (points.length === 2) context.lineTo(points[0] * side + 0.01, points[1] * side);
    context.stroke();
  }
}

function drawBase(context, base, side) {
  if (base.kind !== "picture") {
    context.imageSmoothingEnabled = false;
    context.drawImage(pixelCanvas(base.pixels, base.size), 0, 0, side, side);
    return;
  }
  const { width, height } = base.bitmap;
  const scale = side / Math.max(width, height);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(
    base.bitmap,
    (side - width * scale) / 2,
    (side - height * scale) / 2,
    width * scale,
    height * scale,
  );
}

/** Pixels in grey, or in planes of red, green and blue, as a small canvas. */
export function pixelCanvas(pixels, size) {
  const canvas = document.createElement("canvas");
  putPixels(canvas, pixels, size);
  return canvas;
}

/** A canvas of size × size pixels, each as it is. */
export function putPixels(canvas, pixels, size) {
  if (canvas.width !== size || canvas.height !== size) canvas.width = canvas.height = size;
  const image = new ImageData(size, size);
  const words = new Uint32Array(image.data.buffer);
  if (pixels.length === 3 * size * size) paintColour(pixels, words);
  else paintGrey(pixels.subarray(0, size * size), words);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Links: s=… strokes, t=… number of a test image, i=… pixels of an image, each only where there is one.

export const base64 = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
export const bytesOf = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));

/** `prepared` stands in for an uploaded picture, which is too long for a link. */
export function toLink(drawing, prepared) {
  const parameters = new URLSearchParams();
  const { base } = drawing;
  if (base?.kind === "sample") parameters.set("t", base.number);
  else if (base?.kind === "pixels") parameters.set("i", base64(base.pixels));
  else if (base && prepared && isSquare(prepared.length)) return new URLSearchParams({ i: base64(prepared) });
  const bytes = drawing.strokes.flatMap(packed);
  if (bytes.length) parameters.set("s", base64(bytes));
  return parameters;
}

/** 16 bits each: eraser and width, number of points, then x and y of each. */
function packed({ erase, width, points }) {
  const words = [(erase ? ERASE : 0) | Math.round(width * WIDEST), points.length / 2];
  for (const value of points) words.push(Math.max(0, Math.min(UNITS, Math.round(value * UNITS))));
  return words.flatMap((word) => [word >> 8, word & 255]);
}

/** {strokes, sample, pixels} from a link; throws where it is rubbish. */
export function fromLink(parameters) {
  const sample = parameters.has("t") ? wholeNumber(parameters.get("t")) : null;
  const pixels = parameters.has("i") ? bytesOf(parameters.get("i")) : null;
  if (pixels && !isSquare(pixels.length)) throw new Error("not the pixels of an image");
  return { sample, pixels, strokes: parameters.has("s") ? unpacked(bytesOf(parameters.get("s"))) : [] };
}

const isSquare = (count) => count >= 64 && count <= 65536 && Number.isInteger(Math.sqrt(count));

function wholeNumber(text) {
  if (!/^\d{1,7}$/.test(text)) throw new Error("not a number of a test image");
  return Number(text);
}

function unpacked(bytes) {
  if (bytes.length % 2 || bytes.length > MOST_BYTES) throw new Error("not strokes");
  const words = Array.from({ length: bytes.length / 2 }, (_, index) => (bytes[2 * index] << 8) | bytes[2 * index + 1]);
  const strokes = [];
  for (let at = 0; at < words.length;) {
    const [head, count] = [words[at], words[at + 1]];
    const points = words.slice(at + 2, at + 2 + 2 * count).map((value) => value / UNITS);
    const width = (head & ~ERASE) / WIDEST;
    if (!count || points.length !== 2 * count || width < 0.005 || width > 0.5) throw new Error("not strokes");
    strokes.push({ erase: head >= ERASE, width, points });
    at += 2 + 2 * count;
  }
  return strokes;
}
