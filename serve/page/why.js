/** The derivation of one number as sentences, tables and small pictures. */

import { unrolledFrom } from "./arithmetic.js";
import { largest, paint, swatch } from "./colours.js";
import { h } from "./dom.js";
import { decimal, number, t } from "./i18n.js";
import { unitName } from "./layerview.js";

const CHANNELS_SHOWN = 3;
const TERMS_SHOWN = 8;

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
    normalized,
    normalization,
    input,
  };
  return (ways[found.kind] ?? unknown)(found, context);
}

// One function per kind of layer: what `derivation` found, as elements

function convolution(found, context) {
  const { channels, from } = found;
  const order = channels.length > 1 ? [...channels].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum)) : channels;
  const all = context.open.has("channels");
  const shown = all ? order : order.slice(0, CHANNELS_SHOWN);
  const rest = channels.length - shown.length;
  const restSum = order.slice(shown.length).reduce((sum, each) => sum + each.sum, 0);
  return [
    h(
      "p",
      {},
      t(channels.length > 1 ? "why.convolution.many" : "why.convolution", { name: from.name, count: channels.length }),
    ),
    ...shown.map((each) => channelOf(each, found, context)),
    rest
      ? h(
          "p",
          {},
          link(t("why.rest", { count: rest, sum: number(restSum) }), () => {
            context.open.add("channels");
            context.again();
          }),
        )
      : null,
    sumLine(found),
  ];
}

function channelOf(each, { shape, from, channels }, { go }) {
  const ranges = [each.patch, each.kernel, each.products].map((values) => largest(values));
  const matrix = (values, range, caption, press) => matrixOf(values, shape, range, caption, press);
  return h(
    "div",
    { className: "channel" },
    channels.length > 1 ? h("h4", {}, t("why.channel", { name: from.name, map: each.channel })) : null,
    h(
      "div",
      { className: "equation" },
      matrix(each.patch, ranges[0], t("why.patch"), (at) => each.units[at] >= 0 && (() => go(from, each.units[at]))),
      h("span", { className: "sign" }, "×"),
      matrix(each.kernel, ranges[1], t("why.kernel")),
      h("span", { className: "sign" }, "="),
      matrix(each.products, ranges[2], t("why.products")),
    ),
    h("p", { className: "sum" }, `${t("why.sum")} = `, h("b", {}, number(each.sum))),
  );
}

const sumLine = ({ sum, bias, total }) =>
  h(
    "p",
    { className: "total" },
    h("span", {}, h("small", {}, t("why.products")), number(sum)),
    h("span", { className: "sign" }, "+"),
    h("span", {}, h("small", {}, t("why.bias")), number(bias)),
    h("span", { className: "sign" }, "="),
    h("span", { className: "result" }, h("small", {}, t("why.total")), number(total)),
  );

function pooling({ patch, shape, units, largest: best, isMax, from }, { go }) {
  const table = matrixOf(
    patch,
    shape,
    largest(patch),
    from.name,
    (at) => units[at] >= 0 && (() => go(from, units[at])),
  );
  if (isMax) table.querySelectorAll("td")[best].classList.add("chosen");
  return [
    h("p", {}, t(isMax ? "why.maxpool" : "why.avgpool", { count: patch.length, name: from.name })),
    h("div", { className: "equation" }, table),
  ];
}

function dense(found, { side, layers, go }) {
  const { from, weights, products } = found;
  const order = [...products.keys()]
    .sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]))
    .slice(0, TERMS_SHOWN);
  const shown = order.reduce((sum, index) => sum + products[index], 0);
  const rest = products.length - order.length;
  const maps = unrolledFrom(layers, from);
  const row = (index) =>
    h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        link(unitName(maps ?? from, index, null), () => go(maps ?? from, index)),
      ),
      ...[from.output[index], weights[index], products[index]].map((value) => h("td", {}, decimal(value, 3))),
    );
  return [
    h("p", {}, t("why.dense", { name: from.name, count: products.length })),
    maps
      ? h(
          "div",
          { className: "pair" },
          mosaic(weights, maps.shape, t("why.weights")),
          mosaic(products, maps.shape, t("why.products")),
        )
      : null,
    h(
      "table",
      { className: "terms" },
      h("caption", {}, t("why.largest")),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...["why.from", "why.number", "why.weight", "why.product"].map((key) => h("th", { scope: "col" }, t(key))),
        ),
      ),
      h("tbody", {}, ...order.map(row)),
    ),
    rest ? h("p", { className: "sum" }, t("why.others", { count: rest, sum: number(found.sum - shown) })) : null,
    sumLine(found),
  ];
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

function normalized({ input: pixel, steps = [], value }) {
  const signs = { Div: "÷", Sub: "−", Mul: "×", Add: "+" };
  const text = steps
    .filter(({ op }) => signs[op])
    .map(({ op, by }) => `${signs[op]} ${number([by].flat()[0])}`)
    .join(" ");
  return [
    h("p", {}, t("why.normalized")),
    h("p", { className: "formula" }, `${number(pixel)} ${text} = ${number(value)}`),
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

// Pieces

export function link(text, press) {
  const button = h("button", { type: "button", className: "link" }, text);
  button.addEventListener("click", press);
  return button;
}

/** A table of numbers on their colours; `press(position)` gives what pressing a cell does, or nothing. */
function matrixOf(values, [rows, columns], range, caption, press = () => null) {
  const cell = (position) => {
    const { background, text } = swatch(values[position], range);
    const action = press(position);
    const content = action ? h("button", { type: "button" }, decimal(values[position])) : decimal(values[position]);
    const found = h("td", {}, content);
    found.style.backgroundColor = background;
    found.style.color = text;
    if (action) content.addEventListener("click", action);
    return found;
  };
  const line = (_, row) => h("tr", {}, ...Array.from({ length: columns }, (_, column) => cell(row * columns + column)));
  return h(
    "table",
    { className: "matrix" },
    h("caption", {}, caption),
    h("tbody", {}, ...Array.from({ length: rows }, line)),
  );
}

export function draw(canvas, values, rows, columns, range, size) {
  canvas.width = columns;
  canvas.height = rows;
  canvas.style.width = `${Math.round((columns / Math.max(rows, columns)) * size)}px`;
  const image = new ImageData(columns, rows);
  paint(values, 0, values.length, range, new Uint32Array(image.data.buffer));
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Maps of numbers next to each other, with what they are and the end of their scale. */
function mosaic(values, [count, rows, columns], caption) {
  const range = largest(values);
  const tiles = Array.from({ length: count }, (_, index) => {
    const size = count === 1 ? 150 : count <= 16 ? 36 : 18;
    return draw(
      h("canvas", {}),
      values.subarray(index * rows * columns, (index + 1) * rows * columns),
      rows,
      columns,
      range,
      size,
    );
  });
  return h(
    "figure",
    { className: "mosaic" },
    h("div", { role: "img", "aria-label": caption }, ...tiles),
    h("figcaption", {}, `${caption}: ±${number(range)}`),
  );
}

export function kernelOf(layer, channel) {
  if (layer.kind !== "convolution") return null;
  const { weight } = layer.weights;
  const [, into, rows, columns] = weight.shape;
  const size = into * rows * columns;
  return mosaic(weight.data.subarray(channel * size, (channel + 1) * size), [into, rows, columns], t("why.kernel"));
}
