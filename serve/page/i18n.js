/** Words and numbers in the reader's language. */

import { findAll, h, remembered } from "./dom.js";
import { site } from "./home.js";

export const LANGUAGES = ["en", "es"];
let language = "en";
let words = {};

export function preferredLanguage() {
  const wished = [
    new URLSearchParams(location.search).get("lang"),
    remembered.get("language"),
    ...(navigator.languages ?? []),
  ];
  const short = wished.map((each) => (each ?? "").slice(0, 2).toLowerCase());
  return short.find((each) => LANGUAGES.includes(each)) ?? "en";
}

export async function useLanguage(name) {
  words = site?.words[name] ?? (await (await fetch(new URL(`./locales/${name}.json`, import.meta.url))).json());
  language = name;
  document.documentElement.lang = name;
  translate(document);
}

/** The text of a key, its {places} filled in: numbers as the reader writes them. */
export function t(key, places = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = places[name];
    return typeof value === "number" ? whole(value) : (value ?? "");
  });
}

/** Fills in elements marked with data-t (text), data-t-label (accessible name) and data-t-title. */
export function translate(within) {
  for (const element of findAll("[data-t]", within)) element.textContent = t(element.dataset.t);
  for (const element of findAll("[data-t-label]", within))
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of findAll("[data-t-placeholder]", within)) element.placeholder = t(element.dataset.tPlaceholder);
  for (const element of findAll("[data-t-title]", within)) element.title = t(element.dataset.tTitle);
}

const formats = new Map();

function format(value, options) {
  const key = language + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(language, options));
  return formats.get(key).format(value).replace("-", "−");
}

export const whole = (value) => format(value, { useGrouping: "auto", maximumFractionDigits: 0 });
export const decimal = (value, digits = 2) =>
  format(Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
export const percent = (value, digits = 1) =>
  format(value, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Three or four significant digits, whatever the size. */
export function number(value) {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 100000) return whole(value);
  if (size < 0.0005 || size >= 100000) return format(value, { notation: "scientific", maximumSignificantDigits: 3 });
  return size < 10 ? decimal(value, 3) : format(value, { maximumSignificantDigits: 4 });
}

export function bytes(count) {
  const mega = count >= 1e6;
  return format(count / (mega ? 1e6 : 1e3), {
    style: "unit",
    unit: mega ? "megabyte" : "kilobyte",
    maximumSignificantDigits: 3,
  });
}

export const milliseconds = (seconds) =>
  format(seconds * 1000, { style: "unit", unit: "millisecond", maximumSignificantDigits: 2 });

const TERMS = [
  "featuremap",
  "filter",
  "convolution",
  "kernel",
  "stride",
  "padding",
  "bias",
  "relu",
  "sigmoid",
  "activation",
  "pooling",
  "flatten",
  "dense",
  "logit",
  "softmax",
  "logsoftmax",
  "normalized",
  "normalization",
  "arithmetic",
  "identity",
  "input",
  "field",
  "parameter",
  "accuracy",
  "champion",
];
export const terms = () => TERMS.map((term) => ({ term, name: t(`term.${term}`), text: t(`term.${term}.text`) }));

/** A word that explains itself when pressed. */
export function term(name, text = t(`term.${name}`)) {
  return h("button", { type: "button", className: "term", "data-term": name }, text);
}
