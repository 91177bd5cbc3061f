/** The derivation of one number as sentences, tables and small pictures. */

import { largest } from "./colours.js";
import { h, link } from "./dom.js";
import { matrixOf, mosaic } from "./figures.js";
import { decimal, number, t } from "./i18n.js";
import { unitName } from "./layerview.js";
import { convolution, dense } from "./sums.js";

const CELLS = 25; // of a window that is shown as a table; larger ones are pictures

/** Elements for what `derivation` found; the context says where it was found and how to go elsewhere. */
export function derivationInWords(found, context) {
  const ways = {
    convolution,
    pooling,
    dense,
    softmax,
    activation,
    reshape: moved,
    identity: moved,
    normalized: (found) => stepwise(found, t("why.normalized")),
    arithmetic: (found, { go, unit }) =>
      found.steps ? [...stepwise(found, t("why.scaled")), back(found.from, unit, go)] : unknown(found),
    normalization,
    input,
  };
  return (ways[found.kind] ?? unknown)(found, context);
}

function pooling(found, { go }) {
  const { patch, shape, units, largest: best, isMax, sum, counted, value, from } = found;
  const count = isMax ? patch.length : counted;
  return [
    h("p", {}, t(isMax ? "why.maxpool" : "why.avgpool", { count, name: from.name })),
    patch.length > CELLS
      ? mosaic(patch, [1, ...shape], from.name)
      : h("div", { className: "equation" }, windowOf(patch, shape, units, isMax ? best : -1, from, go)),
    isMax ? null : h("p", { className: "formula" }, `${number(sum)} ÷ ${number(count)} = ${number(value)}`),
  ];
}

function windowOf(patch, shape, units, chosen, from, go) {
  const press = (at) => units[at] >= 0 && (() => go(from, units[at]));
  const table = matrixOf(patch, shape, largest(patch), from.name, press);
  if (chosen >= 0) table.querySelectorAll("td")[chosen].classList.add("chosen");
  return table;
}

function softmax({ from, powers, total, highest, isLog, unit, input: logit, op }, { side }) {
  const { classes } = side.answer;
  const row = (power, index) =>
    h(
      "tr",
      { className: index === unit ? "chosen" : "" },
      h("th", { scope: "row" }, classes[index] ?? index),
      h("td", {}, decimal(from.output[index], 2)),
      h("td", {}, decimal(power, 4)),
      h("td", {}, decimal(power / total, 4)),
    );
  const table = h(
    "table",
    { className: "terms" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ...["why.class", "why.logit", "why.power", "why.share"].map((key) =>
          h("th", { scope: "col" }, t(key, { name: from.name })),
        ),
      ),
    ),
    h("tbody", {}, ...powers.map(row)),
  );
  const formula = isLog
    ? `${number(logit)} − ${number(highest + Math.log(total))} = ${number(logit - highest - Math.log(total))}`
    : `${decimal(powers[unit], 4)} ÷ ${decimal(total, 4)} = ${decimal(powers[unit] / total, 4)}`;
  return [
    h(
      "p",
      {},
      t(isLog ? "why.logsoftmax" : "why.softmax", { highest: highest < 0 ? `(${number(highest)})` : number(highest) }),
    ),
    table,
    h("p", { className: "formula" }, formula),
  ];
}

function activation({ op, value, input: before, from }, { unit, go }) {
  const formulas = {
    Relu: `max(0, ${number(before)}) = ${number(value)}`,
    Sigmoid: `1 ÷ (1 + e^(−(${number(before)}))) = ${number(value)}`,
  };
  return [
    h("p", {}, t(op === "Relu" ? (before > 0 ? "why.relu.kept" : "why.relu.cut") : "why.activation", { op })),
    h("p", { className: "formula" }, formulas[op] ?? `${op}(${number(before)}) = ${number(value)}`),
    back(from, unit, go),
  ];
}

function moved({ from, input: before }, { unit, go }) {
  return [
    h("p", {}, t("why.moved", { name: from.name, unit: unitName(from, unit, null) })),
    h("p", { className: "formula" }, number(before)),
    back(from, unit, go),
  ];
}

function stepwise({ input: before, steps = [], value }, reason) {
  const signs = { Div: "÷", Sub: "−", Mul: "×", Add: "+" };
  const text = steps
    .filter(({ op }) => signs[op])
    .map(({ op, by }) => `${signs[op]} ${number([by].flat()[0])}`)
    .join(" ");
  return [
    h("p", {}, reason),
    h("p", { className: "formula" }, `${number(before)} ${text} = ${number(value)}`),
  ];
}

function normalization({ input: before, mean, variance, scale, bias, epsilon, value }) {
  return [
    h("p", {}, t("why.normalization")),
    h(
      "p",
      { className: "formula" },
      `(${number(before)} − ${number(mean)}) ÷ √(${number(variance)} + ${number(epsilon)}) × ${number(scale)} + ${number(bias)} = ${number(value)}`,
    ),
  ];
}

const input = ({ value }) => [h("p", {}, t("why.input", { value }))];
const unknown = ({ op }) => [h("p", {}, t("why.activation", { op }))];
const back = (from, unit, go) =>
  h(
    "p",
    {},
    link(t("why.back", { name: from.name }), () => go(from, unit)),
  );
