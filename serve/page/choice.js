/** The networks at work, one or two: chosen, remembered, and what is known of each. */

import { modelNames } from "./api.js";
import { find, h, remembered } from "./dom.js";
import { t } from "./i18n.js";
import { Side } from "./side.js";

const SETTLED = 1000; // ms until the page is quiet enough to time a run
const FALLBACK = "champion";

export class Choice {
  sides = [];
  wanted = []; // names that a link asks for

  /** Told of: changed() when other networks are at work, facts(side, record); what a Side tells; failure(side, error). */
  constructor({ gallery, told }) {
    Object.assign(this, { gallery, told });
    this.first = find("#first");
    this.second = find("#second");
    this.#slots = [new Side(told), new Side(told)];
    for (const field of [this.first, this.second]) field.addEventListener("change", () => this.#use());
  }

  #slots;

  async load() {
    try {
      this.#fill(await modelNames());
      await this.#use();
    } catch (error) {
      this.told.failure(null, error);
    }
  }

  #fill(names) {
    const known = (name) => names.includes(name);
    const first = [this.wanted[0], remembered.get("first"), FALLBACK, names[0]].find(known);
    const second = [this.wanted[1], remembered.get("second")].find(known) ?? "";
    const options = () => names.map((name) => h("option", { value: name, lang: "en" }, name));
    this.first.replaceChildren(...options());
    this.second.replaceChildren(h("option", { value: "" }, t("network.none")), ...options());
    this.first.value = first;
    this.second.value = second;
  }

  async #use() {
    const names = [this.first.value, this.second.value];
    remembered.set("first", names[0]);
    remembered.set("second", names[1]);
    await Promise.all(this.#slots.map((side, index) => side.name !== names[index] && this.#open(side, names[index])));
    this.sides = this.#slots.filter((side) => side.model);
    document.documentElement.classList.toggle("comparing", this.sides.length > 1);
    await this.told.changed();
    for (const side of this.sides) this.#learn(side);
  }

  /** A network that cannot be opened leaves the other at work. */
  async #open(side, name) {
    try {
      await side.use(name);
    } catch (error) {
      side.use("");
      this.told.failure({ name }, error);
    }
  }

  async #learn(side) {
    const record = await this.gallery.record(side);
    this.told.facts(side, record);
    await new Promise((resolve) => setTimeout(resolve, SETTLED));
    if (side.seconds === null && side.model) await side.measure();
    this.told.facts(side, record);
  }

  translate() {
    this.second.firstElementChild?.replaceChildren(t("network.none"));
  }
}
