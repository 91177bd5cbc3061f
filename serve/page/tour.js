/** A walk through the page in a few steps, and the glossary. */

import { find, findAll, h } from "./dom.js";
import { t, terms } from "./i18n.js";

const STEPS = ["draw", "seen", "verdict", "layers", "unit", "compare", "share"];
const TARGETS = {
  draw: "#draw",
  seen: "#seen",
  verdict: "#verdict",
  layers: "#layers",
  unit: "#layers .layer:nth-of-type(3)",
  compare: "#second-field",
  share: "#share-open",
};

export class Tour {
  #step = -1;

  /** example() puts something on an empty board. */
  constructor(example) {
    this.box = find("#tour");
    find("#tour-open").addEventListener("click", () => this.go(0, example()));
    find("#tour-next").addEventListener("click", () => this.go(this.#step + 1));
    find("#tour-back").addEventListener("click", () => this.go(this.#step - 1));
    find("#tour-close").addEventListener("click", () => this.go(-1));
    this.box.addEventListener("keydown", (event) => {
      const moves = { ArrowRight: 1, ArrowLeft: -1 };
      if (moves[event.key]) this.go(Math.max(0, this.#step + moves[event.key]));
      else if (event.key === "Escape") this.go(-1);
    });
  }

  go(step) {
    for (const element of findAll(".toured")) element.classList.remove("toured");
    this.#step = step >= STEPS.length ? -1 : step;
    this.box.hidden = this.#step < 0;
    if (this.#step < 0) return find("#tour-open").focus();
    this.render();
    const target = find(TARGETS[STEPS[this.#step]]) ?? find("#layers");
    target.classList.add("toured");
    target.scrollIntoView({ block: target.offsetHeight > innerHeight * 0.6 ? "start" : "center" });
    find("#tour-title").focus({ preventScroll: true });
  }

  render() {
    if (this.#step < 0) return;
    const name = STEPS[this.#step];
    find("#tour-title").textContent = t(`tour.${name}`);
    find("#tour-text").textContent = t(`tour.${name}.text`);
    find("#tour-where").textContent = t("tour.where", { step: this.#step + 1, steps: STEPS.length });
    find("#tour-back").disabled = this.#step === 0;
    find("#tour-next").textContent = t(this.#step === STEPS.length - 1 ? "tour.done" : "tour.next");
  }
}

/** Pressing a term opens the glossary at it. */
export function glossary() {
  const dialog = find("#glossary");
  const open = (name) => {
    const entries = terms().flatMap(({ term, name: title, text }) => [
      h("dt", { id: `term-${term}`, className: term === name ? "chosen" : "" }, title),
      h("dd", {}, text),
    ]);
    find("#glossary-list").replaceChildren(...entries);
    dialog.showModal();
    if (name) find(`#term-${name}`)?.scrollIntoView({ block: "center" });
  };
  find("#glossary-open").addEventListener("click", () => open(null));
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest?.("[data-term]");
    if (pressed) open(pressed.dataset.term);
  });
}
