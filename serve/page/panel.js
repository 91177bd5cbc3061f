/** How one number came to be, and what its filter is after. */

import { derivation, unrolledFrom } from "./arithmetic.js";
import { largest, paint, swatch } from "./colours.js";
import { find, h } from "./dom.js";
import { decimal, number, t } from "./i18n.js";
import { unitName } from "./layerview.js";
import { isMaps, positionOf, sizeOf } from "./network.js";

const CHANNELS_SHOWN = 3;
const TERMS_SHOWN = 8;

export class Panel {
  selected = null; // {side, layer (its name), unit}
  #open = new Set();

  /** Told of: go(side, layerName, unit), close(), switch(side, layer, unit, off), strongest(element, side, layer, unit). */
  constructor(told) {
    this.told = told;
    this.element = find("#panel");
    this.body = find("#panel-body");
    this.title = find("#panel-title");
    find("#panel-close").addEventListener("click", () => this.close());
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  get isOpen() {
    return !this.element.hidden;
  }

  open(side, layer, unit, { focus = false } = {}) {
    this.selected = { side, layer, unit };
    this.element.hidden = false;
    document.documentElement.classList.add("with-panel");
    this.#open.clear();
    this.render();
    if (focus) this.title.focus();
  }

  close() {
    if (!this.isOpen) return;
    this.element.hidden = true;
    document.documentElement.classList.remove("with-panel");
    this.told.close(this.selected);
    this.selected = null;
  }

  /** The derivation anew, with every answer; the part on the filter only when another unit is chosen. */
  render() {
    if (!this.selected) return;
    const { side, layer: name, unit } = this.selected;
    const layers = side.answer?.layers;
    const layer = layers?.find((each) => each.name === name);
    if (!layer || unit >= sizeOf(layer)) return this.close();
    this.title.replaceChildren(h("span", { lang: "en" }, name), " · ", unitName(layer, unit, side.answer.classes));
    const why = side.blank ? [h("p", {}, t("why.blank"))] : this.#why(side, layers, layer, unit);
    this.#section("why", [h("h3", {}, t("why.title")), ...why]);
    const key = [
      side.name,
      side.answer.version,
      name,
      positionOf(layer, unit).channel,
      side.isOff(name, positionOf(layer, unit).channel),
      document.documentElement.lang,
    ].join();
    if (this.#filterKey !== key || !find("#panel-filter")) {
      this.#filterKey = key;
      this.#section("filter", this.#filter(side, layers, layer, unit));
    }
    this.#enlarge(side, layer, unit);
  }

  #filterKey = "";

  #section(name, children) {
    const id = `panel-${name}`;
    const section = find(`#${id}`) ?? h("section", { id });
    section.replaceChildren(...children.filter(Boolean));
    if (!section.isConnected) name === "why" ? this.body.prepend(section) : this.body.append(section);
  }

  #why(side, layers, layer, unit) {
    const found = derivation(layers, layer, unit);
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
    const context = {
      side,
      layers,
      layer,
      unit,
      go: (from, at) => this.told.go(side, from.name, at),
      open: this.#open,
      again: () => this.render(),
    };
    const told = (ways[found.kind] ?? unknown)(found, context);
    const off = side.isOff(layer.name, positionOf(layer, unit).channel)
      ? h("p", { className: "note" }, t("why.off"))
      : null;
    return [h("p", { className: "value" }, number(found.value)), off, ...told, this.#onwards(context)].filter(Boolean);
  }

  /** Where the number goes next. */
  #onwards({ layers, layer, unit, go }) {
    const next = layers.find((each) => each.inputs.includes(layer.name));
    if (!next || sizeOf(next) !== sizeOf(layer)) return null;
    return h(
      "p",
      { className: "onwards" },
      link(t("why.next", { name: next.name, value: number(next.output[unit]) }), () => go(next, unit)),
    );
  }

  #filter(side, layers, layer, unit) {
    if (layer.kind === "input" || layer.kind === "normalized") return [];
    const { channel } = positionOf(layer, unit);
    const heading = h(
      "h3",
      {},
      t(isMaps(layer) ? "filter.title" : "filter.unit", { number: channel, name: layer.name }),
    );
    const off = side.isOff(layer.name, channel);
    const toggle = h("input", { type: "checkbox", id: "switch-off", checked: off });
    toggle.addEventListener("change", () => this.told.switch(side, layer.name, channel, toggle.checked));
    const strongest = h("div", { className: "thumbs" });
    this.told.strongest(strongest, side, layer.name, channel);
    return [
      heading,
      isMaps(layer)
        ? h(
            "div",
            { className: "enlarged" },
            h("canvas", {
              id: "enlarged",
              role: "img",
              "aria-label": t("filter.map", { number: channel, name: layer.name }),
            }),
            kernelOf(layer, channel),
          )
        : null,
      h("label", { className: "switch", for: "switch-off" }, toggle, h("span", {}, t("filter.off"))),
      h("p", { className: "note" }, t("filter.off.note")),
      h("h4", {}, t("filter.strongest")),
      strongest,
    ];
  }

  #enlarge(side, layer, unit) {
    const canvas = find("#enlarged");
    if (!canvas || !isMaps(layer)) return;
    const [, rows, columns] = layer.shape;
    const { channel } = positionOf(layer, unit);
    const values = layer.output.subarray(channel * rows * columns, (channel + 1) * rows * columns);
    draw(canvas, values, rows, columns, side.blank ? 0 : largest(values), 176);
  }
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
    h("p", {}, t(isLog ? "why.logsoftmax" : "why.softmax", { highest: number(highest) })),
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

function link(text, press) {
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

function draw(canvas, values, rows, columns, range, size) {
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

function kernelOf(layer, channel) {
  if (layer.kind !== "convolution") return null;
  const { weight } = layer.weights;
  const [, into, rows, columns] = weight.shape;
  const size = into * rows * columns;
  return mosaic(weight.data.subarray(channel * size, (channel + 1) * size), [into, rows, columns], t("why.kernel"));
}
