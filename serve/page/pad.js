/** The drawing board: mouse, pen, finger or keys into strokes, and strokes into pixels for the server. */

import { BOARD, SIDE, frameOf, render, thinned } from "./drawing.js";
import { palette } from "./colours.js";
import { find, oncePerFrame, sharp } from "./dom.js";
import { greyPng } from "./png.js";

const CELLS = 28; // of the grid on which the keyboard draws
// Browsers hold pointermove back until the next frame: raw updates, where there are any, are up to a frame earlier.
const MOVES = "onpointerrawupdate" in window ? "pointerrawupdate" : "pointermove";
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  brush = 0.075; // share of the side
  erasing = false;
  closed = false; // pictures alone come on it
  #cursor = { x: 9, y: 5, down: false, shown: false };
  #field = null;
  #pointer = null;
  #bounds = null; // of the board as a stroke begins: to ask again would lay the page out at every point

  /** onChange(timestamp) is called after every change; onDigit(n) when a digit key is pressed. */
  constructor(drawing, { onChange, onDigit }) {
    this.drawing = drawing;
    this.canvas = find("#pad");
    this.overlay = find("#pad-overlay");
    this.#ink = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }).getContext("2d", {
      willReadFrequently: true,
    });
    this.onChange = onChange;
    this.onDigit = onDigit;
    this.#listen();
    this.#paintSoon = oncePerFrame(() => this.paint());
    new ResizeObserver(() => this.paint()).observe(this.canvas.parentElement);
  }

  #ink;
  #paintSoon;

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener(MOVES, (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#up(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.#show(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => {
      this.#lift();
      this.#show(false);
    });
  }

  // Pointer

  #down(event) {
    if (this.closed || this.#pointer !== null || event.button > 0) return; // one finger draws, others do nothing
    this.#lift();
    this.#show(false);
    this.#pointer = event.pointerId;
    this.#bounds = this.canvas.getBoundingClientRect();
    try {
      this.canvas.setPointerCapture(event.pointerId);
    } catch {
      // a pointer that is gone already, or made by a script
    }
    const erase = this.erasing || event.buttons === 32; // the pen's own eraser
    this.drawing.begin({ erase, width: this.brush, points: this.#place(event) });
    this.#changed(event.timeStamp);
  }

  #move(event) {
    if (event.pointerId !== this.#pointer || !this.drawing.live) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.drawing.live.points.push(...this.#place(each));
    this.#changed(event.timeStamp);
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.drawing.commit();
    this.#changed(event.timeStamp);
  }

  #place(event) {
    const { left, top, width, height } = this.#bounds;
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  // Keyboard

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    if (this.closed && (ARROWS[key] || key === " ")) return;
    if (ARROWS[key]) this.#step(ARROWS[key], event);
    else if (key === " ") this.#cursor.down ? this.#lift(event) : this.#lower(this.erasing, event);
    else if (key === "Delete" || key === "Backspace") this.clear();
    else if (/^\d$/.test(key)) this.onDigit(Number(key));
    else return;
    event.preventDefault();
  }

  #step([across, down], event) {
    const cursor = this.#cursor;
    const clamp = (value) => Math.max(0, Math.min(CELLS - 1, value));
    const rubbing = event.shiftKey && !cursor.down;
    if (rubbing) this.#lower(true, event);
    [cursor.x, cursor.y] = [clamp(cursor.x + across), clamp(cursor.y + down)];
    this.drawing.live?.points.push(...this.#centre());
    if (rubbing) this.#lift(event);
    this.#show(true);
    if (this.drawing.live) this.#changed(event.timeStamp);
  }

  #lower(erase, event) {
    this.#cursor.down = true;
    this.drawing.begin({ erase, width: this.brush, points: this.#centre() });
    this.#show(true);
    this.#changed(event.timeStamp);
  }

  #lift(event) {
    if (!this.#cursor.down) return;
    this.#cursor.down = false;
    this.drawing.commit();
    this.#changed(event?.timeStamp ?? performance.now());
  }

  #centre() {
    return [(this.#cursor.x + 0.5) / CELLS, (this.#cursor.y + 0.5) / CELLS];
  }

  #show(shown) {
    this.#cursor.shown = shown;
    this.#paintOverlay();
  }

  describe(words) {
    if (this.canvas.getAttribute("aria-label") !== words) this.canvas.setAttribute("aria-label", words);
  }

  // Changes from outside

  change(work) {
    this.#cursor.down = false;
    this.#pointer = null;
    work(this.drawing);
    this.#changed(performance.now());
  }

  clear() {
    this.change((drawing) => drawing.clear());
  }

  #changed(timestamp) {
    this.onChange(timestamp);
    this.#paintSoon();
  }

  // Pictures

  paint() {
    const side = this.canvas.parentElement.clientWidth;
    if (!side) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 3);
    if (this.canvas.width !== Math.round(side * ratio)) sharp(this.canvas, side, side);
    render(this.canvas.getContext("2d"), this.drawing, side);
    this.#paintOverlay();
  }

  /** What of the drawing is looked at: {left, top, right, bottom} as shares of the side, or null. */
  highlight(field) {
    this.#field = field;
    this.#paintOverlay();
  }

  #paintOverlay() {
    const side = this.canvas.parentElement.clientWidth;
    if (!side) return;
    const needed = this.#field || this.#cursor.shown;
    if (!needed && !this.overlay.width) return;
    const context = sharp(this.overlay, needed ? side : 0, needed ? side : 0);
    if (this.#field) veil(context, this.#field, side, palette["focus-on-dark"]);
    if (this.#cursor.shown) this.#paintCursor(context, side / CELLS);
  }

  #paintCursor(context, cell) {
    const { x, y, down } = this.#cursor;
    context.lineWidth = 2;
    context.strokeStyle = down ? "#ffb366" : "#7fd8ff";
    context.strokeRect(x * cell + 0.5, y * cell + 0.5, cell - 1, cell - 1);
    context.beginPath();
    context.arc((x + 0.5) * cell, (y + 0.5) * cell, (this.brush * CELLS * cell) / 2, 0, 2 * Math.PI);
    context.setLineDash([3, 3]);
    context.stroke();
    context.setLineDash([]);
  }

  /** What is in a square of the board as grey pixels, SIDE × SIDE. */
  pixels({ left, top, side } = BOARD, drawing = this.drawing) {
    this.#ink.resetTransform();
    this.#ink.fillStyle = "#000"; // beyond the board's edge
    this.#ink.fillRect(0, 0, SIDE, SIDE);
    this.#ink.setTransform(1 / side, 0, 0, 1 / side, (-left * SIDE) / side, (-top * SIDE) / side);
    render(this.#ink, drawing, SIDE);
    const { data } = this.#ink.getImageData(0, 0, SIDE, SIDE);
    const grey = new Uint8Array(SIDE * SIDE);
    for (let index = 0; index < grey.length; index++) {
      const at = index * 4;
      grey[index] = (data[at] * 77 + data[at + 1] * 150 + data[at + 2] * 29) >> 8;
    }
    return grey;
  }

  /** The drawing as it is looked at: its ink, as by a pen that suits its size, with paper around it. */
  picture() {
    const drawing = thinned(this.drawing);
    return this.pixels(frameOf(drawing), drawing);
  }

  png() {
    return greyPng(this.picture(), SIDE, SIDE);
  }
}

function veil(context, { left, top, right, bottom }, side, colour) {
  context.fillStyle = "rgb(0 0 0 / 55%)";
  context.fillRect(0, 0, side, side);
  const [x, y, width, height] = [left * side, top * side, (right - left) * side, (bottom - top) * side];
  context.clearRect(x, y, width, height);
  context.lineWidth = 2;
  context.strokeStyle = colour;
  context.strokeRect(x, y, width, height);
}

/** The box of the ink: {left, top, right, bottom} as shares of the side, or null. */
export function inkBox(pixels, size, threshold = 40) {
  let [left, top, right, bottom] = [size, size, -1, -1];
  for (let index = 0; index < size * size; index++) {
    if (pixels[index] < threshold) continue;
    const [x, y] = [index % size, Math.floor(index / size)];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return right < 0
    ? null
    : { left: left / size, top: top / size, right: (right + 1) / size, bottom: (bottom + 1) / size };
}
