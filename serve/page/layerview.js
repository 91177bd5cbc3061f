/** One layer as a picture: maps in tiles, rows of numbers as bars; point at a unit or walk to it by keys. */

import { largest } from "./colours.js";
import { h, say, sharp } from "./dom.js";
import { geometryOf, neighbour } from "./geometry.js";
import { number, t, term, whole } from "./i18n.js";
import { isMaps, isSigned, positionOf, sizeOf, strongestFirst, unitAt } from "./network.js";
import { paintField, paintLayer } from "./paint.js";

const ROWS = 2; // of maps, until one asks for all

export class LayerView {
  layer = null;
  near = false;
  held = false; // somebody looks at a unit of it: the maps stay where they are
  whole = false;
  #channels = null; // those shown, the strongest first
  #stale = true;
  scratch = document.createElement("canvas");

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
    this.more = h("button", { type: "button", className: "link more", hidden: true });
    this.more.addEventListener("click", () => this.showAll(!this.whole));
    this.words = h("div", { className: "words" });
    const picture = h("div", { className: "picture" }, this.canvas, this.overlay);
    const narrow = ["input", "normalized"].includes(this.layer.kind) ? " narrow" : "";
    this.element = h(
      "article",
      { className: `layer${narrow}` },
      h("header", {}, this.words, this.more, this.legend),
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
    say(this.more, t(this.whole ? "layer.few" : "layer.all", { count: layer.shape[0] }));
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
    if (unit >= 0 && !this.has(unit)) unit = unitAt(this.layer, { channel: this.geometry.channels[0], row: 0, column: 0 });
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
    this.#layOut();
  }

  #layOut() {
    const { layer, width, classes } = this;
    this.geometry = geometryOf(layer, width, classes);
    const most = ROWS * this.geometry.perRow;
    const tooMany = isMaps(layer) && layer.shape[0] > most;
    this.more.hidden = !tooMany;
    if (tooMany && !this.whole) {
      this.#channels ??= Array.from({ length: layer.shape[0] }, (_, channel) => channel);
      this.geometry = geometryOf(layer, width, classes, this.#channels.slice(0, most));
    }
    this.#stale = true;
    sharp(this.canvas, this.geometry.width, this.geometry.height);
    this.overlay.width = 0;
    this.refresh();
  }

  showAll(whole) {
    if (whole === this.whole) return;
    this.whole = whole;
    this.describe();
    if (this.geometry) this.#layOut();
  }

  /** Whether a unit is on the picture. */
  has(unit) {
    return !this.geometry?.has || this.geometry.has(positionOf(this.layer, unit).channel);
  }

  /** `settled`: the hand rests, and the maps may change their places. */
  show(layer, { blank, perMap, settled = false }) {
    Object.assign(this, { layer, blank, perMap });
    this.range = largest(layer.output);
    const mayMove = settled && !blank && !this.held && !this.canvas.matches(":hover, :focus-visible");
    if (mayMove && this.#channels && !this.whole) {
      this.#channels = strongestFirst(layer);
      this.#layOut();
    }
    this.#stale = true;
    this.refresh();
  }

  /** Onto paper, or near the window. */
  come() {
    this.near = true;
    this.refresh();
  }

  refresh() {
    if (!this.near || !this.geometry) return;
    if (this.#stale) {
      this.#stale = false;
      paintLayer(this);
      this.#describeRange();
    }
    if (this.field || this.overlay.width) paintField(this);
  }

  repaint() {
    this.#stale = true;
    this.refresh();
  }

  /** Lights up a field: {channels, rows, columns} or {units}; null for none. */
  light(field, veiled = true) {
    Object.assign(this, { field, veiled });
    this.element.classList.toggle("lit", Boolean(field));
    if (this.near && this.geometry && (field || this.overlay.width)) paintField(this);
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
    marks.forEach((mark, index) => say(this.#marks[index], mark));
  }

  #marks = null;

  /** Says which unit is looked at. */
  say(unit) {
    const words = () => `${unitName(this.layer, unit, this.classes)} = ${number(this.layer.output[unit])}`;
    say(this.readout, unit < 0 || this.blank ? "" : words());
  }
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
