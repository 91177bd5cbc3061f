/** The page: drawing → networks → pictures, and what the reader chooses. */

import { Asking } from "./asking.js";
import { Challenges } from "./challenges.js";
import { Choice } from "./choice.js";
import { Columns } from "./columns.js";
import { listenToControls } from "./controls.js";
import { Drawing, toLink } from "./drawing.js";
import { find, say } from "./dom.js";
import { Fooled } from "./fooled.js";
import { Gallery } from "./gallery.js";
import { preferredLanguage, t, translate, useLanguage } from "./i18n.js";
import { isAlone } from "./home.js";
import { Memory } from "./memory.js";
import { Notices } from "./notices.js";
import { Pad } from "./pad.js";
import { Panel } from "./panel.js";
import { Reasons } from "./reasons.js";
import { Seen } from "./seen.js";
import { listenToSettings } from "./settings.js";
import { offerToCopy, offerToShare, tameDialogs } from "./share.js";
import { Tour, glossary } from "./tour.js";
import { pictureOf } from "./upload.js";
import { Verdict } from "./verdict.js";

class Page {
  drawing = new Drawing();
  notices = new Notices();
  seen = new Seen();
  verdict = new Verdict();
  tour = new Tour(() => this.drawing.isEmpty && this.gallery.pickOfClass(0));

  async start() {
    await useLanguage(preferredLanguage());
    document.documentElement.classList.toggle("alone", isAlone);
    this.#build();
    this.#listen();
    this.fooled.show();
    this.#describeDrawing();
    const opened = await this.#restore();
    if (!opened) await this.memory.openLast();
    await this.choice.load();
    document.documentElement.dataset.ready = "";
  }

  get sides() {
    return this.choice.sides;
  }

  /** Asks every network. */
  ask(at) {
    return this.asking.settled(at);
  }

  #build() {
    const { drawing, notices } = this;
    this.pad = new Pad(drawing, {
      onChange: (at) => this.#changed(at),
      onDigit: (digit) => this.gallery.pickOfClass(digit),
    });
    const pick = (number, pixels, size) => drawing.replace({ kind: "sample", number, pixels, size });
    this.gallery = new Gallery({
      choose: (...sample) => this.pad.change(() => pick(...sample)),
      sides: () => this.sides,
      failure: (error) => this.asking.failed(null, error),
    });
    this.memory = new Memory(this.pad, this.gallery, () => this.#preparedImage());
    const answered = () => this.sides.filter((side) => side.answer && !side.blank);
    this.reasons = new Reasons({ sides: answered, gallery: this.gallery, nothing: () => notices.show("empty"),
      fooled: (label, side) => this.fooled.add(drawing, this.#preparedImage(), label, side),
    });
    this.challenges = new Challenges({
      drawing,
      change: (work) => this.pad.change(work),
      pick: (kind) => this.gallery.pickOfClass(kind),
      solved: (challenge) => notices.show("solved", { challenge }),
    });
    this.fooled = new Fooled({
      open: (parameters) => this.#openFooled(parameters),
      copy: (parameters) => offerToCopy(t("fooled.share"), this.#address(parameters)),
      failure: (notice) => notices.show(notice),
    });
    this.panel = new Panel({
      go: (side, layer, unit) => this.columns.pin(side, layer, unit),
      walk: (side, layer, unit) => this.columns.walk(side, layer, unit),
      close: (selected) => this.columns.unpin(selected),
      switch: (side, layer, unit, off) => this.#switch(side, layer, unit, off),
      strongest: (element, side, layer, unit) => this.gallery.showStrongest(element, side, layer, unit),
    });
    this.columns = new Columns({ panel: this.panel, onFields: (side, fields) => this.#lightDrawing(side, fields) });
    this.choice = new Choice({
      gallery: this.gallery,
      told: {
        changed: () => this.#compare(),
        facts: (side, record) => this.columns.facts(side, record),
        answer: (side, input) => this.#answered(side, input),
        failure: (side, error) => this.asking.failed(side, error),
        nothing: (side) => this.#nothingFound(side),
        replaced: (side) => {
          notices.show("replaced", { name: side.name });
          this.ask(performance.now());
        },
      },
    });
    this.asking = new Asking({
      ...{ pad: this.pad, gallery: this.gallery, notices, choice: this.choice },
      told: {
        nothing: (side) => this.#nothingFound(side),
        lost: () => this.choice.load(),
      },
    });
  }

  #listen() {
    listenToControls(this);
    listenToSettings({
      language: () => this.#translate(),
      theme: () => this.#recolour(),
      size: () => this.#resize(),
    });
    offerToShare({
      canvas: this.pad.canvas,
      link: () => this.#link(),
      answer: () => (this.drawing.isEmpty ? null : this.sides[0]?.answer),
      nothing: () => this.notices.show("empty"),
    });
    tameDialogs();
    glossary();
  }

  // The drawing

  #changed(at) {
    const { isEmpty, live } = this.drawing;
    if (isEmpty) this.sides.forEach((side) => side.forget());
    this.asking.whileDrawing(at);
    this.#describeDrawing();
    this.#tellTruth();
    if (live) return;
    this.memory.keepSoon();
    // From now on it is the reader's own drawing, not that of the link.
    if (this.#opened) history.replaceState(null, "", location.pathname + location.search);
  }

  #opened = false;

  /** What a test image is, beside what the networks take it for. */
  async #tellTruth() {
    const { base, strokes } = this.drawing;
    const isSample = base?.kind === "sample" && !strokes.length;
    const truth = isSample ? await this.gallery.truth(base.number) : null;
    if (base === this.drawing.base) say(find("#truth"), truth?.text ?? "");
  }

  #describeDrawing() {
    const { base, strokes, isEmpty, canUndo, canRedo } = this.drawing;
    find("#undo").disabled = !canUndo;
    find("#redo").disabled = !canRedo;
    find("#movers").hidden = !base?.label || strokes.length > 0;
    find("#pad-hint").hidden = !isEmpty;
    say(find("#pad-hint"), this.#hint());
    const key = isEmpty ? "pad.empty" : base?.kind === "sample" ? "pad.sample" : "pad.drawn";
    this.pad.describe(t(key, { count: strokes.length, number: base?.number ?? 0 }));
  }

  #hint() {
    const { classes, metadata } = this.sides[0]?.about ?? {};
    if (this.pad.closed) return t("draw.hint.photograph");
    if (!classes || classes.every((name) => /^\d$/.test(name))) return t("draw.hint");
    return t("draw.hint.other", { dataset: metadata.dataset ?? "", classes: classes.slice(0, 3).join(", ") });
  }

  async openPicture(file) {
    try {
      const base = await pictureOf(file);
      this.pad.change((drawing) => drawing.replace(base));
    } catch (error) {
      this.notices.show(error.message === "large" ? "too-large" : "no-picture", { name: file.name });
    }
  }

  async openLink() {
    await this.#restore();
    if (this.choice.wanted[0]) await this.choice.load();
  }

  /** Whether the address holds a drawing. */
  async #restore() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    this.choice.wanted = [parameters.get("m"), parameters.get("c")];
    if (parameters.has("f")) this.#takeFooled(parameters.get("f"));
    this.#opened = false;
    const opened = await this.memory.openLink(parameters);
    this.#opened = opened === "opened";
    if (opened === "rubbish") this.notices.show("bad-link");
    return opened === "opened";
  }

  #link() {
    const parameters = toLink(this.drawing, this.#preparedImage());
    parameters.set("m", this.sides[0]?.name ?? "");
    if (this.sides[1]) parameters.set("c", this.sides[1].name);
    return this.#address(parameters);
  }

  #address(parameters) {
    return `${location.href.split(/[?#]/)[0]}#${parameters}`;
  }

  #openFooled(parameters) {
    find("#gallery").close();
    this.memory.openLink(parameters);
  }

  /** A link with drawings that fooled somebody else's network. */
  #takeFooled(text) {
    try {
      this.fooled.take(text);
      this.gallery.open();
    } catch {
      this.notices.show("bad-link");
    }
  }

  #preparedImage() {
    return this.sides[0]?.answer?.image.data;
  }

  // Networks and their answers

  async #compare() {
    this.notices.hide("gone");
    this.#openOrClosePad();
    this.#describeDrawing();
    this.panel.close();
    this.columns.layOut(this.sides);
    this.#noteOff();
    await this.ask(performance.now());
  }

  /** What takes whole pictures is shown pictures: nobody draws a photograph. */
  #openOrClosePad() {
    this.pad.closed = this.sides.some(({ about }) => about?.metadata.preparation?.picture === "whole");
    document.documentElement.classList.toggle("photographs", this.pad.closed);
    if (this.pad.closed && this.drawing.strokes.length) this.pad.clear();
  }

  #answered(side, { blank, at, settled }) {
    this.asking.succeeded();
    side.blank = blank;
    const shown = blank ? [] : this.sides.filter((each) => each.answer && !each.blank);
    this.verdict.show(shown);
    this.seen.show(shown);
    if (settled) this.challenges.look(shown);
    this.columns.show(side, blank, settled);
    if (this.panel.selected?.side === side) this.panel.render();
    if (at !== null) requestAnimationFrame(() => performance.measure("event-to-picture", { start: at }));
  }

  /** No digit was found in the picture: no old answer may pass for one. */
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

  switchAllOn() {
    for (const side of this.sides) side.ablated = [];
    this.sides.forEach((side) => this.columns.markOff(side));
    this.#noteOff();
    this.panel.render();
    this.ask(performance.now());
  }

  #noteOff() {
    const off = this.sides.flatMap((side) => side.ablated.map(({ layer, unit }) => `${layer}:${unit}`));
    find("#off-note").hidden = !off.length;
    say(find("#off-text"), t("filter.nowoff", { names: off.join(", ") }));
  }

  #lightDrawing(side, fields) {
    const field = fields && side?.answer ? fields.get(side.answer.layers[0].name) : null;
    this.pad.highlight(field ? this.seen.onDrawing(side, field, this.drawing, this.pad) : null);
    this.seen.highlight(field);
  }

  // What the reader chooses

  /** All words anew. */
  #translate() {
    const answered = this.sides.filter((side) => side.answer && !side.blank);
    for (const part of [this.choice, this.notices, this.columns]) part.translate();
    this.fooled.show();
    this.#describeDrawing();
    this.#tellTruth();
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
