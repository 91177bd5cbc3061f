/** The layers of one network, or of two side by side; what is pointed at lights up all that it came from. */

import { find, h, link, oncePerFrame } from "./dom.js";
import { largest } from "./colours.js";
import { draw } from "./figures.js";
import { bytes, milliseconds, percent, t } from "./i18n.js";
import { LayerView } from "./layerview.js";
import { blocksOf, isMaps, receptiveFields, strongestFirst } from "./network.js";

const SKETCH = 26; // CSS pixels a side
const NEAR = "200px"; // layers so near to the window are painted

export class Columns {
  #columns = new Map(); // side → {element, head, strip, list, views, record, version}
  #pinned = null; // {side, layer, unit}
  perMap = false;

  /** onFields(side, fields or null) is told what is lit. */
  constructor({ panel, onFields }) {
    Object.assign(this, { panel, onFields });
    this.element = find("#columns");
    const note = (entries) => entries.forEach((entry) => this.#note(entry));
    this.#watcher = new IntersectionObserver(note, { rootMargin: NEAR });
    const fit = oncePerFrame(() => this.#fit());
    new ResizeObserver(fit).observe(this.element);
    addEventListener("beforeprint", () => this.#everyView((view) => view.come()));
    this.#light = oncePerFrame((wanted) => this.#lightNow(wanted));
  }

  #watcher;
  #light;
  #byElement = new WeakMap();

  layOut(sides) {
    this.#watcher.disconnect();
    this.#columns.clear();
    this.#pinned = null;
    for (const side of sides) {
      const head = h("header", { className: "network" });
      const [strip, list] = [h("nav", { className: "strip" }), h("div", { className: "list" })];
      const element = h("div", { className: "column" }, head, strip, list);
      this.#columns.set(side, { element, head, strip, list, views: [], record: null });
      this.#describe(side);
    }
    this.#bringToFront(sides[0]);
    this.element.replaceChildren(...[...this.#columns.values()].map(({ element }) => element));
  }

  /** Of two networks on a narrow screen: the one whose layers are shown. */
  #bringToFront(side) {
    for (const [each, { element }] of this.#columns) element.classList.toggle("front", each === side);
    this.#fit();
  }

  /** `settled`: the hand rests, and maps may change their places. */
  show(side, blank, settled = true) {
    const column = this.#columns.get(side);
    if (!column || !side.answer) return;
    const { layers, version, classes } = side.answer;
    if (column.version !== version || column.model !== side.name) this.#build(side, column, layers, classes);
    layers.forEach((layer, index) => column.views[index].show(layer, { blank, perMap: this.perMap, settled }));
    for (const { layer, canvas } of column.jumps) this.#sketch(canvas, layer(), blank);
    if (this.#pinned?.side === side) this.#light(this.#pinned);
  }

  #build(side, column, layers, classes) {
    Object.assign(column, { version: side.answer.version, model: side.name });
    column.views = layers.map((layer) => {
      const view = new LayerView(layers, layer, classes, {
        look: (each, unit) => this.#look(side, each, unit),
        pick: (each, unit) => this.#pick(side, each.layer.name, unit, each),
      });
      this.#byElement.set(view.element, view);
      this.#watcher.observe(view.element);
      return view;
    });
    const views = new Map(column.views.map((view) => [view.layer.name, view]));
    const blocks = blocksOf(layers).map((block) => block.map(({ name }) => views.get(name)));
    const elements = blocks.map((block) => this.#block(block));
    column.list.replaceChildren(...elements);
    column.jumps = blocks.map(([view], index) => jump(view, elements[index]));
    column.strip.replaceChildren(...column.jumps.map(({ button }) => button));
    this.markOff(side);
    this.#fit();
  }

  /** A convolution, and behind it what works on its maps. */
  #block(views) {
    if (views.length === 1) return views[0].element;
    const tabs = views.map((view) => {
      const tab = h("button", { type: "button", lang: "en" }, view.layer.name);
      tab.addEventListener("click", () => view.open());
      view.open = () => {
        views.forEach((each, index) => {
          each.element.hidden = each !== view;
          tabs[index].setAttribute("aria-pressed", each === view);
        });
        this.#fit();
      };
      return tab;
    });
    views[0].open();
    const names = h("div", { className: "tabs", role: "group", "aria-label": views[0].layer.name }, ...tabs);
    return h("div", { className: "block" }, names, ...views.map(({ element }) => element));
  }

  /** The strongest map of a layer, very small. */
  #sketch(canvas, layer, blank) {
    if (!isMaps(layer)) return;
    const [count, rows, columns] = layer.shape;
    const [best] = count > 1 ? strongestFirst(layer) : [0];
    const values = Float32Array.from(layer.output.subarray(best * rows * columns, (best + 1) * rows * columns));
    draw(canvas, values, rows, columns, blank ? 0 : largest(values), SKETCH);
  }

  #note({ target, isIntersecting }) {
    const view = this.#byElement.get(target);
    if (!view) return;
    view.near = isIntersecting;
    view.refresh();
  }

  #everyView(work) {
    for (const { views } of this.#columns.values()) views.forEach(work);
  }

  #fit() {
    this.#everyView((view) => {
      const width = view.element.clientWidth;
      if (width) view.resize(Math.floor(width - 2));
    });
  }

  // Looking and pinning

  #look(side, view, unit) {
    view.say(unit);
    this.#light(unit < 0 ? this.#pinned : { side, layer: view.layer.name, unit });
  }

  #pick(side, layer, unit, view) {
    const byKeyboard = view.canvas.matches(":focus-visible");
    this.pin(side, layer, unit, { focus: byKeyboard });
  }

  pin(side, layer, unit, options) {
    this.#hold(false);
    this.#pinned = { side, layer, unit };
    const view = this.#hold(true);
    this.#bringToFront(side);
    view?.open?.();
    if (view && !view.has(unit)) view.showAll(true);
    const top = () => view.canvas.getBoundingClientRect().top;
    const before = view && top();
    this.panel.open(side, layer, unit, options);
    this.#light(this.#pinned);
    if (!view) return;
    this.#fit(); // the panel takes room from the maps: what was pressed stays under the finger
    scrollBy(0, top() - before);
  }

  /** The pinned unit gives way to another of its map. */
  walk(side, layer, unit) {
    this.#pinned = { side, layer, unit };
    this.panel.move(unit);
    this.#light(this.#pinned);
  }

  viewOf(side, name) {
    return this.#columns.get(side)?.views.find(({ layer }) => layer.name === name);
  }

  /** The view of the pinned unit keeps its maps in place. */
  #hold(held) {
    const { side, layer } = this.#pinned ?? {};
    const view = this.viewOf(side, layer);
    if (view) view.held = held;
    return view;
  }

  unpin(selected) {
    this.#hold(false);
    this.#pinned = null;
    this.#light(null);
    const view = this.viewOf(selected?.side, selected?.layer);
    if (this.panel.element.contains(document.activeElement) || document.activeElement === document.body)
      view?.canvas.focus({ preventScroll: true });
  }

  #lightNow(wanted) {
    for (const [side, { views }] of this.#columns) {
      const layers = side.answer?.layers;
      const layer = wanted?.side === side ? layers?.find(({ name }) => name === wanted.layer) : null;
      const fields = layer ? receptiveFields(layers, layer, wanted.unit) : null;
      for (const view of views) view.light(fields?.get(view.layer.name) ?? null, wanted !== this.#pinned);
      if (layer || !wanted) this.onFields(side, fields);
    }
  }

  // Words and looks

  facts(side, record) {
    const column = this.#columns.get(side);
    if (!column) return;
    column.record = record;
    this.#describe(side);
  }

  #describe(side) {
    const { head, record } = this.#columns.get(side);
    const parameters = side.answer?.layers.reduce((sum, layer) => sum + layer.parameters, 0);
    const facts = [
      record ? t("facts.accuracy", { share: percent(record.accuracy) }) : null,
      parameters ? t("layer.parameters", { count: parameters }) : null,
      record ? t("facts.size", { size: bytes(record.bytes) }) : null,
      side.seconds ? t("facts.time", { time: milliseconds(side.seconds) }) : null,
    ];
    const network = side.about && side.about.network !== side.name ? ` (${side.about.network})` : "";
    const title = h("h3", { lang: "en" }, side.name + network);
    if (this.#columns.size > 1) title.replaceChildren(link(title.textContent, () => this.#bringToFront(side)));
    head.replaceChildren(
      title,
      h("p", {}, ...facts.filter(Boolean).map((fact) => h("span", {}, fact))),
    );
  }

  translate() {
    for (const [side, { views }] of this.#columns) {
      this.#describe(side);
      for (const view of views) view.describe();
    }
  }

  usePerMap(perMap) {
    this.perMap = perMap;
    for (const side of this.#columns.keys()) if (side.answer) this.show(side, side.blank);
  }

  markOff(side) {
    for (const view of this.#columns.get(side)?.views ?? []) {
      view.off = side.ablated.filter(({ layer }) => layer === view.layer.name).map(({ unit }) => unit);
      view.repaint();
    }
  }

  /** After a change of the type's size. */
  refit() {
    this.#everyView((view) => (view.width = 0));
    this.#fit();
  }

  repaint() {
    this.#everyView((view) => view.repaint());
    this.#light(this.#pinned);
  }
}

/** A button of the strip, which leads to a block. */
function jump(view, element) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const button = h("button", { type: "button", lang: "en" }, canvas, h("span", {}, view.layer.name));
  if (!isMaps(view.layer)) canvas.remove();
  button.addEventListener("click", () => element.scrollIntoView({ block: "start" }));
  return { button, canvas, layer: () => view.layer };
}
