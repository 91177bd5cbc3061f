/** Sums of products in words and tables: what convolutions and dense layers do. */

import { unrolledFrom } from "./arithmetic.js";
import { largest } from "./colours.js";
import { h, link } from "./dom.js";
import { matrixOf, mosaic } from "./figures.js";
import { decimal, number, t } from "./i18n.js";
import { unitName } from "./layerview.js";

const CHANNELS_SHOWN = 3;
const TERMS_SHOWN = 8;

export function convolution(found, context) {
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

export function dense(found, { side, layers, go }) {
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
