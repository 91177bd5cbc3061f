/** One layer as a picture: maps in tiles, rows of numbers as bars; point at a unit or walk to it by keys. */

import { largest, paint, paintGrey, palette } from "./colours.js";
import { h, sharp } from "./dom.js";
import { geometryOf, neighbour } from "./geometry.js";
import { number, t, term, whole } from "./i18n.js";
import { isMaps, isSigned, positionOf, sizeOf } from "./network.js";

export class LayerView {
  layer = null;
  visible = false;
  #stale = true;
  #scratch = document.createElement("canvas");

  /** Told of: look(view, unit or -1), pick(view, unit). */
  constructor(layers, layer, classes, told) {
    Object.assign(this, { layer, classes, told, unit: 0, field: null, blank: true, perMap: false });
    this.signed = isSigned(layer, new Map(layers.map((each) => [each.name, each])));
    this.grey = layer.kind === "input";
    this.#build();
    this.#listen();
  }

  #build() {
    this.canvas = h("canvas", { tabIndex: 0, role: "application" });
    this.overlay = h("canvas", { className: "overlay", "aria-hidden": "true" });
    this.readout = h("p", { className: "readout", "aria-live": "polite" });
    this.legend = h("div", { className: "legend" });
    this.words = h("div", { className: "words" });
    const picture = h("div", { className: "picture" }, this.canvas, this.overlay);
    const narrow = ["input", "normalized"].includes(this.layer.kind) ? " narrow" : "";
    this.element = h(
      "article",
      { className: `layer${narrow}` },
      h("header", {}, this.words, this.legend),
      picture,
      this.readout,
    );
    this.describe();
  }

  /** In words; again after a change of language. */
  describe() {
    const { layer } = this;
    const kind = kindOf(layer);
    this.words.replaceChildren(
      h("h4", { lang: "en" }, layer.name),
      h("p", { className: "kind" }, term(kind), ...this.#facts()),
    );
    const key = isMaps(layer) ? "layer.label.maps" : "layer.label.row";
    const [count, rows, columns] = layer.shape;
    this.canvas.setAttribute(
      "aria-label",
      t(key, { name: layer.name, kind: t(`term.${kind}`), count, rows: rows ?? 0, columns: columns ?? 0 }),
    );
    this.legend.title = t(this.grey ? "legend.grey" : this.signed ? "legend.signed" : "legend.unsigned");
    this.#describeRange();
  }

  #facts() {
    const { shape, parameters, options } = this.layer;
    const facts = [h("span", {}, shape.map(whole).join(" × "))];
    if (options.kernel) facts.push(h("span", {}, windowInWords(options)));
    if (parameters) facts.push(h("span", {}, t("layer.parameters", { count: parameters })));
    return facts;
  }

  #listen() {
    const { canvas } = this;
    const at = (event) => {
      const bounds = canvas.getBoundingClientRect();
      return this.geometry?.at(event.clientX - bounds.left, event.clientY - bounds.top) ?? -1;
    };
    canvas.addEventListener("pointermove", (event) => event.pointerType !== "touch" && this.#look(at(event)));
    canvas.addEventListener("pointerleave", () => this.#look(-1));
    canvas.addEventListener("click", (event) => this.#pick(at(event)));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && this.#look(this.unit));
    canvas.addEventListener("blur", () => this.#look(-1));
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.geometry) return;
    if (event.key === "Enter" || event.key === " ") this.#pick(this.unit);
    else {
      const next = neighbour(this.layer, this.geometry, this.unit, event.key);
      const known = /^(Arrow|Page)/.test(event.key);
      if (!known) return;
      this.#look(next);
    }
    event.preventDefault();
  }

  #look(unit) {
    if (unit >= 0) this.unit = unit;
    this.told.look(this, unit);
  }

  #pick(unit) {
    if (unit < 0) return;
    this.unit = unit;
    this.told.pick(this, unit);
  }

  // Pictures

  resize(width) {
    if (width === this.width) return;
    this.width = width;
    this.geometry = geometryOf(this.layer, width, this.classes);
    this.#stale = true;
    sharp(this.canvas, this.geometry.width, this.geometry.height);
    this.overlay.width = 0;
    this.refresh();
  }

  show(layer, { blank, perMap }) {
    Object.assign(this, { layer, blank, perMap });
    this.range = largest(layer.output);
    this.#stale = true;
    this.refresh();
  }

  refresh() {
    if (!this.visible || !this.geometry) return;
    if (this.#stale) {
      this.#stale = false;
      this.#paint();
      this.#describeRange();
    }
    if (this.field || this.overlay.width) this.#paintOverlay();
  }

  repaint() {
    this.#stale = true;
    this.refresh();
  }

  #paint() {
    const { width, height } = this.geometry;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (this.geometry.style === "maps") this.#paintMaps(context);
    else if (this.geometry.style === "cells") this.#paintCells(context);
    else this.#paintBars(context);
  }

  #paintMaps(context) {
    const [count, rows, columns] = this.layer.shape;
    const words = this.#colours(rows * columns, count);
    const scratch = this.#drawn(words, columns, rows * count);
    context.imageSmoothingEnabled = false;
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    for (let channel = 0; channel < count; channel++) {
      const { x, y, width, height } = this.geometry.tile(channel);
      context.drawImage(scratch, 0, channel * rows, columns, rows, x, y, width, height);
      context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
      if (this.off?.includes(channel)) crossOut(context, x, y, width, height);
    }
  }

  /** All units as packed colours; `each` units share a range where it is per map. */
  #colours(each, count) {
    const words = new Uint32Array(each * count);
    const { output } = this.layer;
    if (this.blank) {
      paint(new Float32Array(words.length), 0, words.length, 1, words);
      if (this.grey) words.fill(0xff000000);
    } else if (this.grey) paintGrey(output, words);
    else {
      for (let channel = 0; channel < count; channel++) {
        const [start, end] = [channel * each, (channel + 1) * each];
        const range = this.perMap ? largest(output, start, end) : this.range;
        paint(output, start, end, range, words.subarray(start, end));
      }
    }
    return words;
  }

  #drawn(words, width, height) {
    const scratch = this.#scratch;
    if (scratch.width !== width || scratch.height !== height) Object.assign(scratch, { width, height });
    scratch.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(words.buffer), width, height), 0, 0);
    return scratch;
  }

  #paintCells(context) {
    const words = this.#colours(sizeOf(this.layer), 1);
    const { perRow, width, height } = this.geometry;
    const rows = Math.ceil(words.length / perRow);
    const padded = new Uint32Array(perRow * rows);
    padded.set(words);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#drawn(padded, perRow, rows), 0, 0, width, height);
  }

  #paintBars(context) {
    const { output } = this.layer;
    const labelled = this.geometry.style === "labelled";
    const { positive, negative, line, muted: ink } = palette;
    context.font = `${labelled ? 12 : 10}px ${palette.sans}`;
    context.textAlign = "center";
    for (let unit = 0; unit < output.length; unit++) {
      const { x, y, width, height } = this.geometry.cell(unit);
      const room = labelled ? height - 20 : height;
      const zero = y + (this.signed ? room / 2 : room - 1);
      const reach = this.signed ? room / 2 - 1 : room - 2;
      const length = this.blank || !this.range ? 0 : (output[unit] / this.range) * reach;
      context.fillStyle = length < 0 ? negative : positive;
      context.fillRect(x + 1, Math.min(zero, zero - length), Math.max(1, width - (labelled ? 8 : 2)), Math.abs(length));
      context.fillStyle = line;
      context.fillRect(x, zero, width, 1);
      if (this.off?.includes(unit)) crossOut(context, x + 1, y, width - 2, room);
      context.fillStyle = ink;
      if (labelled)
        context.fillText(
          this.classes[unit].slice(0, Math.max(1, Math.floor(width / 7))),
          x + width / 2 - 3,
          y + height - 5,
          width,
        );
    }
  }

  /** Lights up a field: {channels, rows, columns} or {units}; null for none. */
  light(field) {
    this.field = field;
    this.element.classList.toggle("lit", Boolean(field));
    if (this.visible && this.geometry && (field || this.overlay.width)) this.#paintOverlay();
  }

  #paintOverlay() {
    const { geometry, field } = this;
    if (!field) {
      this.overlay.width = 0;
      return;
    }
    const context = sharp(this.overlay, geometry.width, geometry.height);
    context.fillStyle = this.grey ? "rgb(0 0 0 / 60%)" : palette.veil;
    context.fillRect(0, 0, geometry.width, geometry.height);
    for (const box of this.#boxes(field)) {
      context.clearRect(box.x, box.y, box.width, box.height);
      outline(context, box, palette[this.grey ? "focus-on-dark" : "focus"]);
    }
  }

  #boxes(field) {
    const { geometry } = this;
    if (field.units) {
      const [first, last] = field.units;
      if (first === last) return [geometry.cell(first)];
      return [{ x: 0, y: 0, width: geometry.width, height: geometry.height }];
    }
    const [first, last] = field.channels;
    return Array.from({ length: last - first + 1 }, (_, index) => geometry.fieldIn(first + index, field));
  }

  #describeRange() {
    const signed = this.signed;
    const end = this.grey ? "255" : this.perMap && isMaps(this.layer) ? t("legend.most") : number(this.range || 0);
    const ends = signed ? [`−${end}`, "0", `+${end}`] : ["0", end];
    const marks = this.blank && !this.grey ? ends.map((mark) => (mark === "0" ? mark : "")) : ends;
    const name = this.grey ? "grey" : signed ? "signed" : "unsigned";
    if (!this.#marks) {
      this.#marks = marks.map(() => h("span", {}));
      this.legend.replaceChildren(
        h("span", { className: `scale ${name}`, "aria-hidden": "true" }),
        h("span", { className: `marks ${name}` }, ...this.#marks),
      );
    }
    marks.forEach((mark, index) => (this.#marks[index].textContent = mark));
  }

  #marks = null;

  /** Says which unit is looked at. */
  say(unit) {
    this.readout.textContent =
      unit < 0 || this.blank ? "" : `${unitName(this.layer, unit, this.classes)} = ${number(this.layer.output[unit])}`;
  }
}

function outline(context, { x, y, width, height }, colour) {
  context.lineWidth = 2;
  context.strokeStyle = colour;
  context.strokeRect(x, y, width, height);
}

function crossOut(context, x, y, width, height) {
  context.save();
  context.strokeStyle = palette.muted;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + width, y + height);
  context.moveTo(x + width, y);
  context.lineTo(x, y + height);
  context.stroke();
  context.restore();
}

const BY_OP = { Relu: "relu", Sigmoid: "sigmoid", LogSoftmax: "logsoftmax", MaxPool: "pooling" };

/** The key under which the glossary has a layer's kind. */
export function kindOf({ kind, op }) {
  if (BY_OP[op]) return BY_OP[op];
  return { reshape: "flatten", activation: "activation" }[kind] ?? kind;
}

export function windowInWords({ kernel, strides, pads }) {
  const parts = [t("layer.window", { size: kernel.join(" × ") })];
  if (strides.some((step) => step !== 1)) parts.push(t("layer.stride", { step: strides[0] }));
  if (pads.some((pad) => pad !== 0)) parts.push(t("layer.padding", { pad: pads[0] }));
  return parts.join(", ");
}

/** Channels, rows and columns are counted from 0, as in the code. */
export function unitName(layer, unit, classes) {
  const { channel, row, column } = positionOf(layer, unit);
  if (isMaps(layer)) return t(layer.shape[0] === 1 ? "unit.pixel" : "unit.map", { map: channel, row, column });
  const isClass = classes && sizeOf(layer) === classes.length;
  return isClass ? t("unit.class", { name: classes[channel] }) : t("unit.row", { unit: channel });
}
