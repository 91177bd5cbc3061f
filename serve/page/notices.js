/** What went wrong or changed, in plain sentences; each goes by itself or when closed. */

import { find, h } from "./dom.js";
import { t } from "./i18n.js";

const LASTING = new Set(["gone", "busy", "missing", "locked", "no-digit", "alone", "integers", "operator", "version"]); // until they are over
const SHOWN = 12000; // ms

export class Notices {
  #shown = new Map();

  constructor() {
    this.element = find("#notices");
  }

  show(name, places = {}) {
    this.hide(name);
    const text = h("p", {});
    const close = h("button", { type: "button", "aria-label": t("close") }, h("span", { "aria-hidden": "true" }, "×"));
    const box = h("div", { className: "notice", "data-notice": name }, text, close);
    close.addEventListener("click", () => this.hide(name));
    const timer = LASTING.has(name) ? 0 : setTimeout(() => this.hide(name), SHOWN);
    this.#shown.set(name, { box, text, places, timer });
    this.translate();
    this.element.append(box);
  }

  hide(name) {
    const notice = this.#shown.get(name);
    if (!notice) return;
    clearTimeout(notice.timer);
    notice.box.remove();
    this.#shown.delete(name);
  }

  translate() {
    for (const [name, { text, places }] of this.#shown) text.textContent = t(`notice.${name}`, places);
  }
}
