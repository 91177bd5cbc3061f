/** How one number came to be, and what its filter is after. */

import { derivation } from "./arithmetic.js";
import { find, h, link } from "./dom.js";
import { kernelOf } from "./figures.js";
import { number, t } from "./i18n.js";
import { unitName } from "./layerview.js";
import { isMaps, positionOf, sizeOf } from "./network.js";
import { Walk } from "./walk.js";
import { derivationInWords } from "./why.js";

const ELEMENTWISE = ["normalized", "activation", "identity", "reshape"]; // of one number one number

export class Panel {
  selected = null; // {side, layer (its name), unit}
  #open = new Set();

  /** Told of: go(side, layer, unit), walk(side, layer, unit) within a map, close(), switch(side, layer, unit, off), strongest(element, side, layer, unit). */
  constructor(told) {
    this.told = told;
    this.walk = new Walk((...place) => told.walk(...place));
    this.element = find("#panel");
    this.body = find("#panel-body");
    this.title = find("#panel-title");
    find("#panel-close").addEventListener("click", () => this.close());
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  get isOpen() {
    return !this.element.hidden;
  }

  open(side, layer, unit, { focus = false } = {}) {
    this.selected = { side, layer, unit };
    this.element.hidden = false;
    document.documentElement.classList.add("with-panel");
    this.#open.clear();
    this.render();
    if (focus) this.title.focus();
  }

  /** To another unit of the same layer: what is open stays open. */
  move(unit) {
    this.selected.unit = unit;
    this.render();
  }

  close() {
    if (!this.isOpen) return;
    this.walk.hide();
    this.element.hidden = true;
    document.documentElement.classList.remove("with-panel");
    this.told.close(this.selected);
    this.selected = null;
  }

  /** The derivation anew, with every answer; the part on the filter only when another unit is chosen. */
  render() {
    if (!this.selected) return;
    const { side, layer: name, unit } = this.selected;
    const layers = side.answer?.layers;
    const layer = layers?.find((each) => each.name === name);
    if (!layer || unit >= sizeOf(layer)) return this.close();
    this.title.replaceChildren(h("span", { lang: "en" }, name), " · ", unitName(layer, unit, side.answer.classes));
    const why = side.blank ? [h("p", {}, t("why.blank"))] : this.#why(side, layers, layer, unit);
    this.#section("why", [h("h3", {}, t("why.title")), ...why]);
    const key = [
      side.name,
      side.answer.version,
      name,
      positionOf(layer, unit).channel,
      side.isOff(name, positionOf(layer, unit).channel),
      document.documentElement.lang,
    ].join();
    if (this.#filterKey !== key || !find("#panel-filter")) {
      this.#filterKey = key;
      this.#section("filter", this.#filter(side, layers, layer, unit));
    }
    if (!this.walk.element.isConnected) this.body.prepend(this.walk.element);
    this.walk.show(side, layers, layer, unit);
  }

  #filterKey = "";

  #section(name, children) {
    const id = `panel-${name}`;
    const section = find(`#${id}`) ?? h("section", { id });
    section.replaceChildren(...children.filter(Boolean));
    if (!section.isConnected) this.body.append(section);
  }

  #why(side, layers, layer, unit) {
    const found = derivation(layers, layer, unit);
    const context = {
      side,
      layers,
      layer,
      unit,
      go: (from, at) => this.told.go(side, from.name, at),
      open: this.#open,
      again: () => this.render(),
    };
    const off = side.isOff(layer.name, positionOf(layer, unit).channel)
      ? h("p", { className: "note" }, t("why.off"))
      : null;
    return [
      h("p", { className: "value" }, number(found.value)),
      off,
      ...derivationInWords(found, context),
      this.#onwards(context),
    ].filter(Boolean);
  }

  /** Where the number goes next: only what works on each number alone makes one of it. */
  #onwards({ layers, layer, unit, go }) {
    const [next] = followers(layers, layer);
    const isOfOne = next && ELEMENTWISE.includes(next.kind) && next.inputs.length === 1;
    if (!isOfOne || sizeOf(next) !== sizeOf(layer)) return null;
    return h(
      "p",
      { className: "onwards" },
      link(t("why.next", { name: next.name, value: number(next.output[unit]) }), () => go(next, unit)),
    );
  }

  #filter(side, layers, layer, unit) {
    if (["input", "normalized", "softmax"].includes(layer.kind)) return []; // nothing there was learnt to look for
    const { channel } = positionOf(layer, unit);
    const heading = h(
      "h3",
      {},
      t(nounOf(layer), { number: channel, name: layer.name }),
    );
    const off = side.isOff(layer.name, channel);
    const toggle = h("input", { type: "checkbox", id: "switch-off", checked: off });
    toggle.addEventListener("change", () => this.told.switch(side, layer.name, channel, toggle.checked));
    const strongest = h("div", { className: "thumbs" });
    this.told.strongest(strongest, side, layer.name, channel);
    return [
      heading,
      kernelOf(layer, channel),
      h("label", { className: "switch", for: "switch-off" }, toggle, h("span", {}, t("filter.off"))),
      h("p", { className: "note" }, t("filter.off.note")),
      h("h4", {}, t("filter.strongest")),
      strongest,
    ];
  }
}

/** Only a convolution has filters; what follows it has maps. */
function nounOf(layer) {
  if (!isMaps(layer)) return "filter.unit";
  return layer.kind === "convolution" ? "filter.title" : "filter.of";
}

const followers = (layers, { name }) => layers.filter(({ inputs }) => inputs.includes(name));
