/** What the networks conclude: a digit, how sure, and all probabilities as bars. */

import { find, h, say } from "./dom.js";
import { percent, t } from "./i18n.js";

const SURE = [
  [0.95, "verdict.sure"],
  [0.75, "verdict.fairly"],
  [0.5, "verdict.unsure"],
  [0, "verdict.guess"],
];
const FEW = 12; // classes that are all shown; of more, the likeliest and those searched for
const LIKELIEST = 5;
const LONG = 10; // letters of a name that is not set large
const SAID_AFTER = 500; // ms without a new answer, then it is read out

export class Verdict {
  #rows = [];
  #key = "";
  #timer = 0;
  #headlines = 0;
  #labels = [];
  #sentences = [];
  #shown = [];

  constructor() {
    this.big = find("#verdict-big");
    this.words = find("#verdict-words");
    this.list = find("#bars");
    this.live = find("#live");
    this.search = find("#bars-search");
    this.search.addEventListener("input", () => this.#shown.length && this.#chooseRows(this.#shown[0]));
  }

  /** Sides with answers, or none at all for an empty drawing. */
  show(sides) {
    const answered = sides.filter((side) => side.answer);
    this.#shown = answered;
    this.#layOut(answered);
    find("#verdict").classList.toggle("empty", !answered.length);
    if (!answered.length) return this.#sayNothing();
    this.#chooseRows(answered[0]);
    answered.forEach((side, index) => {
      say(this.#labels[index], side.answer.label);
      this.#labels[index].classList.toggle("long", side.answer.label.length > LONG);
      this.#tell(this.#sentences[index], side, answered.length > 1);
      this.#fill(side, index);
    });
    this.#sayLater(answered.map(({ answer }) => t(doubtOf(answer) ?? "verdict.short", spoken(answer))).join(" · "));
  }

  #sayNothing() {
    this.big.replaceChildren(h("span", { className: "label none", "aria-hidden": "true" }, "?"));
    this.words.replaceChildren(h("p", {}, t("verdict.empty")));
    this.#headlines = 0;
    clearTimeout(this.#timer);
    this.live.textContent = "";
  }

  #tell({ title, text }, { answer, name }, named) {
    const key = doubtOf(answer) ?? (named ? "verdict.short" : SURE.find(([least]) => answer.confidence >= least)[1]);
    const order = answer.probabilities
      .map((_, index) => index)
      .sort((a, b) => answer.probabilities[b] - answer.probabilities[a]);
    say(title, named ? `${name}: ` : "");
    say(text, t(key, { first: answer.label, second: answer.classes[order[1]], share: percent(answer.confidence) }));
  }

  /** One number and one sentence for each network. */
  #layOutHeadlines(count) {
    if (count === this.#headlines) return;
    this.#headlines = count;
    const each = (make) => Array.from({ length: count }, (_, index) => make(index));
    this.#labels = each((index) => h("span", { className: `label side-${index}` }));
    this.#sentences = each(() => ({ title: h("b", { lang: "en" }), text: h("span") }));
    this.big.replaceChildren(...this.#labels);
    this.words.replaceChildren(...this.#sentences.map(({ title, text }) => h("p", {}, title, text)));
  }

  /** Elements are made once and then only filled: this runs with every stroke. */
  #layOut(sides) {
    if (sides.length) this.#layOutHeadlines(sides.length);
    const classes = sides[0]?.answer.classes ?? this.classes ?? [];
    const key = `${classes.join()}|${sides.length}`;
    if (key === this.#key || !classes.length) {
      if (!sides.length) for (const row of this.#rows) row.forEach(empty);
      if (key === this.#key || !classes.length) return;
    }
    this.#key = key;
    this.#rows = classes.map(() => Array.from({ length: Math.max(1, sides.length) }, (_, index) => cellsOf(index)));
    this.list.replaceChildren(
      ...classes.map((name, index) => {
        const rails = h("span", { className: "rails" }, ...this.#rows[index].map(({ rail }) => rail));
        return h(
          "li",
          {},
          h("span", { className: "name" }, name),
          rails,
          ...this.#rows[index].map(({ value }) => value),
        );
      }),
    );
  }

  /** Of many classes the likeliest, in order, or those whose names hold what is searched for. */
  #chooseRows({ answer: { probabilities, classes } }) {
    this.search.hidden = classes.length <= FEW;
    if (this.search.hidden) return;
    const wanted = this.search.value.trim().toLocaleLowerCase();
    const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
    const shown = wanted ? order.filter((index) => classes[index].toLocaleLowerCase().includes(wanted)) : order;
    const place = new Map(shown.slice(0, LIKELIEST).map((index, at) => [index, at]));
    [...this.list.children].forEach((row, index) => {
      row.hidden = !place.has(index);
      row.style.order = place.get(index) ?? "";
    });
  }

  #fill({ answer, untouched }, side) {
    answer.probabilities.forEach((share, index) => {
      const { bar, ghost, value } = this.#rows[index][side];
      bar.style.transform = `translateX(${(share - 1) * 100}%)`;
      say(value, percent(share));
      value.classList.toggle("best", index === answer.index);
      ghost.hidden = !untouched;
      if (untouched) ghost.style.insetInlineStart = `${untouched[index] * 100}%`;
    });
  }

  #sayLater(text) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.live.textContent = text), SAID_AFTER);
  }
}

/** The sentence for what looks like none of the classes, where the network can tell. */
function doubtOf({ doubt, classes }) {
  if (!doubt) return null;
  return classes.every((name) => /^\d$/.test(name)) ? "verdict.doubt.digit" : "verdict.doubt";
}

const spoken = ({ label, confidence }) => ({ first: label, share: percent(confidence, 0) });

function cellsOf(side) {
  const bar = h("span", { className: "bar" });
  const ghost = h("span", { className: "ghost", hidden: true });
  const rail = h("span", { className: `rail side-${side}` }, bar, ghost);
  return { bar, ghost, rail, value: h("span", { className: "value" }) };
}

function empty({ bar, ghost, value }) {
  bar.style.transform = "";
  ghost.hidden = true;
  value.textContent = "";
  value.classList.remove("best");
}
