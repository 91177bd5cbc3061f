/** Drawings that fooled a network: kept in this browser, shared as one link. */

import { find, h, remembered } from "./dom.js";
import { Drawing, SIDE, base64, bytesOf, fromLink, render, toLink } from "./drawing.js";
import { t } from "./i18n.js";

const MOST = 30; // drawings
const LONGEST = 60_000; // letters of a link

export class Fooled {
  /** open(parameters) opens a drawing; copy(parameters) offers a link; failure(notice) is told what cannot be done. */
  constructor({ open, copy, failure }) {
    Object.assign(this, { open, copy, failure });
    this.list = find("#fooled-list");
    find("#fooled-share").addEventListener("click", () => this.copy(new URLSearchParams({ f: packed(this.kept) })));
    find("#fooled-clear").addEventListener("click", () => this.#keep([]));
  }

  /** Each {drawing: parameters of a link, meant, said, name}, the newest first. */
  get kept() {
    try {
      return unpacked(remembered.get("fooled") ?? "");
    } catch {
      return []; // what another version kept, or somebody spoilt
    }
  }

  add(drawing, prepared, meant, { answer, name }) {
    const entry = { drawing: toLink(drawing, prepared).toString(), meant, said: answer.label, name };
    return this.#keep([entry, ...this.kept.filter((each) => each.drawing !== entry.drawing)]);
  }

  /** Those of a link, before one's own. Throws where it is rubbish. */
  take(text) {
    const found = unpacked(text);
    const own = this.kept.filter(({ drawing }) => !found.some((each) => each.drawing === drawing));
    return this.#keep([...found, ...own]);
  }

  #keep(entries) {
    const isKept = remembered.set("fooled", packed(entries.slice(0, MOST)));
    if (!isKept) this.failure("storage");
    this.show();
    return isKept;
  }

  show() {
    const { kept } = this;
    find("#fooled-none").hidden = kept.length > 0;
    for (const id of ["#fooled-share", "#fooled-clear"]) find(id).hidden = !kept.length;
    this.list.replaceChildren(...kept.map((entry) => this.#thumb(entry)));
  }

  #thumb({ drawing, meant, said, name }) {
    const words = t("gallery.taken", { label: meant, predicted: said });
    const button = h("button", { type: "button", className: "thumb", title: name }, sketch(drawing), h("small", {}, words));
    button.addEventListener("click", () => this.open(new URLSearchParams(drawing)));
    return button;
  }
}

/** Strokes and pixels as they were; of a test image there is only its number. */
function sketch(text) {
  const { sample, pixels, strokes } = fromLink(new URLSearchParams(text));
  const canvas = h("canvas", { width: SIDE, height: SIDE });
  const drawing = new Drawing();
  drawing.replace(pixels && { kind: "pixels", size: Math.sqrt(pixels.length), pixels }, strokes);
  const context = canvas.getContext("2d");
  render(context, drawing, SIDE);
  context.fillStyle = "#fff";
  context.font = "28px sans-serif";
  if (sample !== null) context.fillText(`#${sample}`, 8, 36);
  return canvas;
}

const packed = (entries) =>
  entries.length ? base64(new TextEncoder().encode(JSON.stringify(entries.map(Object.values)))) : "";

/** Throws where it is rubbish. */
function unpacked(text) {
  if (!text) return [];
  if (text.length > LONGEST) throw new Error("too long");
  const rows = JSON.parse(new TextDecoder().decode(bytesOf(text)));
  return rows.slice(0, MOST).map((row) => {
    const [drawing, meant, said, name] = row.map(String);
    fromLink(new URLSearchParams(drawing));
    return { drawing, meant: meant.slice(0, 40), said: said.slice(0, 40), name: name.slice(0, 40) };
  });
}
