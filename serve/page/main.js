/** The page: drawing → networks → pictures, and what the reader chooses. */

import { modelNames } from "./api.js";
import { Columns } from "./columns.js";
import { Drawing, toLink } from "./drawing.js";
import { find, findAll, h, remembered } from "./dom.js";
import { Gallery } from "./gallery.js";
import { preferredLanguage, t, translate, useLanguage } from "./i18n.js";
import { Memory } from "./memory.js";
import { Notices } from "./notices.js";
import { Pad } from "./pad.js";
import { Panel } from "./panel.js";
import { Seen } from "./seen.js";
import { listenToSettings } from "./settings.js";
import { CopyDialog, curl, python, saveActivations, savePicture, tameDialogs } from "./share.js";
import { Side } from "./side.js";
import { Tour, glossary } from "./tour.js";
import { pictureOf, watchForPictures } from "./upload.js";
import { Verdict } from "./verdict.js";

const RETRY = 1500; // ms after the server did not answer
const SETTLED = 1000; // ms until the page is quiet enough to time an answer
const REMEMBER = 400; // ms after the last stroke

class Page {
  drawing = new Drawing();
  sides = [];
  notices = new Notices();
  seen = new Seen();
  #timers = {};

  async start() {
    await useLanguage(preferredLanguage());
    this.#build();
    this.#listen();
    tameDialogs();
    glossary();
    await this.#restore({ atStart: true });
    await this.#loadModels();
    document.documentElement.dataset.ready = "";
  }

  #build() {
    const told = {
      answer: (side, input) => this.#answered(side, input),
      failure: (side, error) => this.#failed(side, error),
      replaced: (side) => this.notices.show("replaced", { name: side.name }),
    };
    this.slots = [new Side(told), new Side(told)];
    this.pad = new Pad(this.drawing, {
      onChange: (at) => this.changed(at),
      onDigit: (digit) => this.gallery.pickOfClass(digit),
    });
    this.verdict = new Verdict();
    this.panel = new Panel({
      go: (side, layer, unit) => this.columns.pin(side, layer, unit),
      close: (selected) => this.columns.unpin(selected),
      switch: (side, layer, unit, off) => this.#switch(side, layer, unit, off),
      strongest: (element, side, layer, unit) => this.gallery.showStrongest(element, side, layer, unit),
    });
    this.columns = new Columns({ panel: this.panel, onFields: (side, fields) => this.#lightDrawing(side, fields) });
    this.gallery = new Gallery({
      choose: (number, pixels, size) =>
        this.pad.change((drawing) => drawing.replace({ kind: "sample", number, pixels, size })),
      sides: () => this.sides,
    });
    this.copy = new CopyDialog();
    this.tour = new Tour();
    this.memory = new Memory(this.pad, this.gallery);
    listenToSettings({
      language: () => this.#translate(),
      theme: () => this.#recolour(),
      size: () => this.#resize(),
    });
    this.#describeDrawing();
  }

  // What the reader does

  #listen() {
    const on = (selector, event, work) => find(selector).addEventListener(event, work);
    on("#undo", "click", () => this.pad.change((drawing) => drawing.undo()));
    on("#redo", "click", () => this.pad.change((drawing) => drawing.redo()));
    on("#clear", "click", () => this.pad.clear());
    on("#eraser", "click", () => this.#toggleEraser());
    on("#brush", "input", (event) => (this.pad.brush = event.target.valueAsNumber / 100));
    on("#first", "change", () => this.#choose());
    on("#second", "change", () => this.#choose());
    on("#off-undo", "click", () => this.#switchAllOn());
    on("#share-open", "click", () => find("#share").showModal());
    on("#share-link", "click", () => this.copy.open(t("share.link.title"), this.#link()));
    on("#share-png", "click", () => savePicture(this.pad.canvas));
    on("#share-json", "click", () => this.#withAnswer(saveActivations));
    on("#share-curl", "click", () => this.#withAnswer((answer) => this.copy.open("curl", curl(answer))));
    on("#share-python", "click", () => this.#withAnswer((answer) => this.copy.open("Python", python(answer))));
    for (const choice of findAll("[name=range]"))
      choice.addEventListener("change", () => this.columns.usePerMap(choice.value === "map"));
    document.addEventListener("keydown", (event) => this.#shortcut(event));
    watchForPictures((file) => this.#openPicture(file));
    addEventListener("hashchange", () => this.#restore({ atStart: false }));
  }

  #shortcut(event) {
    if (event.key === "Escape" && this.panel.isOpen && !find("dialog[open]")) return this.panel.close();
    const typing = event.target.closest?.("input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea");
    if (!(event.ctrlKey || event.metaKey) || typing) return;
    const back = event.key.toLowerCase() === "z" && !event.shiftKey;
    const forth = event.key.toLowerCase() === "y" || (event.key.toLowerCase() === "z" && event.shiftKey);
    if (!back && !forth) return;
    event.preventDefault();
    this.pad.change((drawing) => (back ? drawing.undo() : drawing.redo()));
  }

  #toggleEraser() {
    this.pad.erasing = !this.pad.erasing;
    find("#eraser").setAttribute("aria-pressed", this.pad.erasing);
  }

  async #openPicture(file) {
    try {
      const base = await pictureOf(file);
      this.pad.change((drawing) => drawing.replace(base));
    } catch (error) {
      this.notices.show(error.message === "large" ? "too-large" : "no-picture", { name: file.name });
    }
  }

  #withAnswer(work) {
    const answer = this.sides[0]?.answer;
    if (answer && !this.drawing.isEmpty) work(answer);
    else this.notices.show("empty");
  }

  #link() {
    const parameters = toLink(this.drawing, this.#preparedImage());
    parameters.set("m", this.sides[0]?.name ?? "");
    if (this.sides[1]) parameters.set("c", this.sides[1].name);
    return `${location.origin}${location.pathname}#${parameters}`;
  }

  #preparedImage() {
    return this.sides[0]?.answer?.image.data;
  }

  // The drawing

  changed(at) {
    const { isEmpty, live } = this.drawing;
    this.#describeDrawing();
    if (isEmpty) this.sides.forEach((side) => side.forget());
    this.ask(at);
    if (live) return;
    clearTimeout(this.#timers.remember);
    this.#timers.remember = setTimeout(() => this.memory.keep(this.#preparedImage()), REMEMBER);
  }

  #describeDrawing() {
    const { base, strokes, isEmpty, canUndo, canRedo } = this.drawing;
    find("#undo").disabled = !canUndo;
    find("#redo").disabled = !canRedo;
    find("#pad-hint").hidden = !isEmpty;
    const key = isEmpty ? "pad.empty" : base?.kind === "sample" ? "pad.sample" : "pad.drawn";
    this.pad.canvas.setAttribute("aria-label", t(key, { count: strokes.length, number: base?.number ?? 0 }));
  }

  /** From a link, or at first from the last visit. */
  async #restore({ atStart }) {
    const parameters = new URLSearchParams(location.hash.slice(1));
    this.wanted = [parameters.get("m"), parameters.get("c")];
    const opened = await this.memory.openLink(parameters);
    if (opened === "rubbish") this.notices.show("bad-link");
    if (opened !== "opened" && atStart) await this.memory.openLast();
    if (this.wanted[0] && !atStart) await this.#loadModels();
  }

  // Networks

  async #loadModels() {
    try {
      const names = await modelNames();
      this.notices.hide("gone");
      const first = [this.wanted[0], remembered.get("first"), "champion", names[0]].find((name) =>
        names.includes(name),
      );
      const second = [this.wanted[1], remembered.get("second")].find((name) => names.includes(name)) ?? "";
      const options = () => names.map((name) => h("option", { value: name, lang: "en" }, name));
      find("#first").replaceChildren(...options());
      find("#second").replaceChildren(h("option", { value: "" }, t("network.none")), ...options());
      find("#first").value = first;
      find("#second").value = second;
      await this.#choose();
    } catch (error) {
      this.#failed(null, error);
    }
  }

  async #choose() {
    const names = [find("#first").value, find("#second").value];
    remembered.set("first", names[0]);
    remembered.set("second", names[1]);
    this.panel.close();
    try {
      await Promise.all(this.slots.map((side, index) => (side.name === names[index] ? null : side.use(names[index]))));
    } catch (error) {
      this.slots.forEach((side) => !side.about && side.use(""));
      this.#failed(null, error);
      return;
    }
    this.sides = this.slots.filter((side) => side.name);
    document.documentElement.classList.toggle("comparing", this.sides.length > 1);
    this.columns.layOut(this.sides);
    this.#noteOff();
    await this.ask(performance.now());
    for (const side of this.sides) this.#fillFacts(side);
  }

  async #fillFacts(side) {
    const record = await this.gallery.record(side);
    this.columns.facts(side, record);
    await new Promise((resolve) => setTimeout(resolve, SETTLED));
    if (side.seconds === null && side.about) await side.measure().catch(() => null);
    this.columns.facts(side, record);
  }

  /** Each network is asked for the newest drawing. */
  ask(at) {
    clearTimeout(this.#timers.retry);
    const blank = this.drawing.isEmpty;
    let png = null;
    const bodyFor = (side) => this.#bodyFor(side, blank, () => (png ??= this.pad.png()));
    return Promise.all(this.sides.map((side) => side.show({ blank, at, bodyFor })));
  }

  async #bodyFor(side, blank, png) {
    const { base, strokes } = this.drawing;
    const raw = (body) => ({ body, type: "application/octet-stream" });
    if (blank) return raw(new Uint8Array(side.shape.reduce((a, b) => a * b)));
    if (!base || strokes.length) return { body: png(), type: "image/png" };
    if (base.kind === "picture") return { body: base.png, type: "image/png" };
    if (base.size === side.size && side.shape[0] === 1) return raw(base.pixels);
    if (base.kind === "sample" && side.shape[0] === 1) return raw(await this.gallery.pixels(base.number, side.size));
    return { body: png(), type: "image/png" };
  }

  #answered(side, input) {
    for (const notice of ["gone", "busy", "no-digit", "missing"]) this.notices.hide(notice);
    document.documentElement.classList.remove("stale");
    side.blank = input.blank;
    const shown = input.blank ? [] : this.sides.filter((each) => each.answer && !each.blank);
    this.verdict.show(shown);
    this.seen.show(shown);
    this.columns.show(side, input.blank);
    if (this.panel.selected?.side === side) this.panel.render();
    requestAnimationFrame(() => performance.measure("event-to-picture", { start: input.at, end: performance.now() }));
  }

  #failed(side, error) {
    const { kind, message } = error;
    const notice = { gone: "gone", busy: "busy", missing: "missing", large: "too-large", refused: "no-digit" }[kind];
    if (!notice) throw error;
    if (notice === "no-digit") this.#nothingFound(side);
    if (notice === "no-digit" && this.drawing.base?.kind !== "picture") return; // a dot is no digit yet
    this.notices.show(notice, { name: side?.name ?? "", detail: message });
    if (!["gone", "busy", "missing"].includes(notice)) return;
    document.documentElement.classList.add("stale"); // what is shown belongs to an earlier drawing
    clearTimeout(this.#timers.retry);
    this.#timers.retry = setTimeout(
      () => (this.sides.length && notice !== "missing" ? this.ask(performance.now()) : this.#loadModels()),
      RETRY,
    );
  }

  /** The server found no digit in the picture: no old answer may pass for one. */
  #nothingFound(side) {
    side.blank = true;
    this.verdict.show([]);
    this.seen.show([]);
    this.columns.show(side, true);
  }

  #switch(side, layer, unit, off) {
    side.switch(layer, unit, off);
    this.#noteOff();
    this.columns.markOff(side);
    this.ask(performance.now());
  }

  #switchAllOn() {
    for (const side of this.sides) side.ablated = [];
    this.sides.forEach((side) => this.columns.markOff(side));
    this.#noteOff();
    this.panel.render();
    this.ask(performance.now());
  }

  #noteOff() {
    const off = this.sides.flatMap((side) => side.ablated.map(({ layer, unit }) => `${layer}:${unit}`));
    find("#off-note").hidden = !off.length;
    find("#off-text").textContent = t("filter.nowoff", { names: off.join(", ") });
  }

  #lightDrawing(side, fields) {
    this.pad.highlight(
      fields && side?.answer
        ? this.seen.onDrawing(side, fields.get(side.answer.layers[0].name), this.drawing, this.pad)
        : null,
    );
    this.seen.highlight(fields && side?.answer ? fields.get(side.answer.layers[0].name) : null);
  }

  /** All words anew: the language has changed. */
  #translate() {
    const answered = this.sides.filter((side) => side.answer && !side.blank);
    find("#second").firstElementChild?.replaceChildren(t("network.none"));
    this.#describeDrawing();
    this.notices.translate();
    this.columns.translate();
    this.tour.render();
    this.verdict.show(answered);
    this.seen.show(answered);
    this.panel.render();
    this.#noteOff();
  }

  #recolour() {
    this.columns.repaint();
    this.panel.render();
  }

  #resize() {
    this.columns.refit();
    this.pad.paint();
  }
}

export const page = new Page();
translate(document);
page.start();
