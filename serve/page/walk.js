/** A window walked over a map, by pointer, finger, arrow keys or by itself: what it covers, and what that comes to. */

import { derivation } from "./arithmetic.js";
import { largest, palette } from "./colours.js";
import { h, say, sharp } from "./dom.js";
import { draw } from "./figures.js";
import { number, t } from "./i18n.js";
import { unitName } from "./layerview.js";
import { isMaps, positionOf, receptiveFields, unitAt } from "./network.js";

const PACES = { "walk.slow": 400, "walk.fast": 50 }; // ms from one place to the next
const SIZE = 150; // CSS pixels of the longer side
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const still = matchMedia("(prefers-reduced-motion: reduce)");

export class Walk {
  #timer = 0;
  #shown = null; // {side, layers, layer, unit}

  /** go(side, layer's name, unit) is told where the window is to be. */
  constructor(go) {
    this.go = go;
    this.before = h("canvas", { role: "img" });
    this.after = h("canvas", { id: "enlarged", tabIndex: 0, role: "application" });
    this.play = h("button", { type: "button", id: "walk-play" });
    this.pace = h("select", { id: "walk-pace" });
    this.sum = h("p", { className: "sum" });
    this.names = [h("figcaption", { lang: "en" }), h("figcaption", { lang: "en" })];
    const figure = (canvas, name) => h("figure", {}, canvas, name);
    this.element = h(
      "section",
      { id: "panel-walk" },
      h("div", { className: "enlarged" }, figure(this.before, this.names[0]), figure(this.after, this.names[1])),
      h("div", { className: "walking" }, this.play, this.pace),
      this.sum,
    );
    this.#listen();
  }

  #listen() {
    const { after } = this;
    const at = ({ offsetX, offsetY }) => this.#move(offsetY / after.clientHeight, offsetX / after.clientWidth);
    after.addEventListener("pointerdown", (event) => {
      this.#stop();
      at(event);
    });
    after.addEventListener("pointermove", (event) => event.buttons && at(event));
    after.addEventListener("keydown", (event) => {
      if (!STEPS[event.key]) return;
      event.preventDefault();
      this.#stop();
      const { layer, unit } = this.#shown;
      const { row, column } = positionOf(layer, unit);
      this.#to(row + STEPS[event.key][0], column + STEPS[event.key][1]);
    });
    this.play.addEventListener("click", () => (this.#timer ? this.#stop() : this.#start()));
  }

  /** To a place given as shares of the map's sides. */
  #move(down, across) {
    const [, rows, columns] = this.#shown.layer.shape;
    this.#to(Math.floor(down * rows), Math.floor(across * columns));
  }

  #to(row, column) {
    const { side, layer, unit } = this.#shown;
    const [, rows, columns] = layer.shape;
    const within = (value, count) => Math.max(0, Math.min(count - 1, value));
    const place = { channel: positionOf(layer, unit).channel, row: within(row, rows), column: within(column, columns) };
    const next = unitAt(layer, place);
    if (next !== unit) this.go(side, layer.name, next);
  }

  #start() {
    const next = () => {
      const { layer, unit } = this.#shown;
      const [, rows, columns] = layer.shape;
      const { row, column } = positionOf(layer, unit);
      const place = (row * columns + column + 1) % (rows * columns);
      this.#to(Math.floor(place / columns), place % columns);
      this.#timer = still.matches || place === rows * columns - 1 ? 0 : setTimeout(next, PACES[this.pace.value]);
      this.#describe();
    };
    next();
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#shown) this.#describe();
  }

  hide() {
    this.#stop();
    this.#shown = null;
    this.element.hidden = true;
  }

  show(side, layers, layer, unit) {
    const source = layers.find(({ name }) => name === layer.inputs[0]);
    const moved = this.#shown?.layer.name !== layer.name || this.#channel !== positionOf(layer, unit).channel;
    if (!isMaps(layer) || !source || !isMaps(source)) return this.hide();
    if (moved) this.#stop();
    this.element.hidden = false;
    this.#shown = { side, layers, layer, unit };
    this.#describe();
    const { channel, row, column } = positionOf(layer, unit);
    const field = receptiveFields(layers, layer, unit).get(source.name);
    this.#paint(this.before, source, side.blank, seenBy(layer, source, channel), field);
    this.#paint(this.after, layer, side.blank, channel, { rows: [row, row], columns: [column, column] });
  }

  get #channel() {
    return this.#shown && positionOf(this.#shown.layer, this.#shown.unit).channel;
  }

  #describe() {
    const { side, layers, layer, unit } = this.#shown;
    const { channel } = positionOf(layer, unit);
    const source = layers.find(({ name }) => name === layer.inputs[0]);
    const key = this.#timer ? "walk.pause" : still.matches ? "walk.step" : "walk.play";
    say(this.play, t(key));
    this.pace.hidden = still.matches;
    this.pace.setAttribute("aria-label", t("walk.pace"));
    if (this.pace.lang !== document.documentElement.lang) {
      const chosen = this.pace.value || "walk.slow";
      this.pace.lang = document.documentElement.lang;
      const option = (pace) => h("option", { value: pace, selected: pace === chosen }, t(pace));
      this.pace.replaceChildren(...Object.keys(PACES).map(option));
    }
    this.after.setAttribute("aria-label", t("filter.map", { number: channel, name: layer.name }));
    this.before.setAttribute("aria-label", t("walk.before", { name: source.name }));
    say(this.names[0], `${source.name} · ${seenBy(layer, source, channel)}`);
    say(this.names[1], `${layer.name} · ${channel}`);
    const { sum, bias, total, value } = derivation(layers, layer, unit);
    const words = layer.kind === "convolution" ? `${number(sum)} + ${number(bias)} = ${number(total)}` : number(value);
    say(this.sum, side.blank ? "" : `${unitName(layer, unit)}: ${words}`);
  }

  #paint(canvas, layer, blank, channel, { rows: [top, bottom], columns: [left, right] }) {
    const [, rows, columns] = layer.shape;
    const values = layer.output.subarray(channel * rows * columns, (channel + 1) * rows * columns);
    const small = draw(document.createElement("canvas"), values, rows, columns, blank ? 0 : largest(values), SIZE);
    const scale = SIZE / Math.max(rows, columns);
    const context = sharp(canvas, columns * scale, rows * scale);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, columns * scale, rows * scale);
    context.lineWidth = 2;
    context.strokeStyle = palette.focus;
    context.strokeRect(left * scale, top * scale, (right - left + 1) * scale, (bottom - top + 1) * scale);
  }
}

/** The map before that counts most for a map: for a convolution that of the largest weights. */
function seenBy(layer, source, channel) {
  if (layer.kind !== "convolution") return Math.min(channel, source.shape[0] - 1);
  const { data, shape } = layer.weights.weight;
  const each = shape[2] * shape[3];
  const first = Math.floor(channel / (layer.shape[0] / (layer.options.group ?? 1))) * shape[1];
  let [best, most] = [0, -1];
  for (let index = 0; index < shape[1]; index++) {
    const start = (channel * shape[1] + index) * each;
    const size = data.subarray(start, start + each).reduce((sum, weight) => sum + Math.abs(weight), 0);
    if (size > most) [best, most] = [index, size];
  }
  return first + best;
}
