/** Small pictures of numbers: tables on their colours, and mosaics of maps. */

import { largest, paint, swatch } from "./colours.js";
import { h } from "./dom.js";
import { decimal, number, t } from "./i18n.js";

/** A table of numbers on their colours; `press(position)` gives what pressing a cell does, or nothing. */
export function matrixOf(values, [rows, columns], range, caption, press = () => null) {
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
export function mosaic(values, [count, rows, columns], caption) {
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

/** What a filter looks for, one tile for each map that it reads; null where there is none. */
export function kernelOf(layer, channel) {
  if (layer.kind !== "convolution") return null;
  const { weight } = layer.weights;
  const [, into, rows, columns] = weight.shape;
  const size = into * rows * columns;
  return mosaic(weight.data.subarray(channel * size, (channel + 1) * size), [into, rows, columns], t("why.kernel"));
}
