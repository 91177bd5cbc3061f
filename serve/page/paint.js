/** The pictures of a layer: maps in tiles, cells, bars, and the field that is lit in them. */

import { largest, paint, paintGrey, palette } from "./colours.js";
import { sharp } from "./dom.js";
import { sizeOf } from "./network.js";

/** A view's layer on its canvas. */
export function paintLayer(view) {
  const { width, height } = view.geometry;
  const context = view.canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  if (view.geometry.style === "maps") paintMaps(view, context);
  else if (view.geometry.style === "cells") paintCells(view, context);
  else paintBars(view, context);
}

function paintMaps(view, context) {
  const [count, rows, columns] = view.layer.shape;
  const words = colours(view, rows * columns, count);
  const scratch = drawn(view, words, columns, rows * count);
  context.imageSmoothingEnabled = false;
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  for (const channel of view.geometry.channels) {
    const { x, y, width, height } = view.geometry.tile(channel);
    context.drawImage(scratch, 0, channel * rows, columns, rows, x, y, width, height);
    context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    if (view.off?.includes(channel)) crossOut(context, x, y, width, height);
  }
}

/** All units as packed colours; `each` units share a range where it is per map. */
function colours(view, each, count) {
  const words = new Uint32Array(each * count);
  const { output } = view.layer;
  if (view.blank) {
    paint(new Float32Array(words.length), 0, words.length, 1, words);
    if (view.grey) words.fill(0xff000000);
  } else if (view.grey) paintGrey(output, words);
  else {
    for (let channel = 0; channel < count; channel++) {
      const [start, end] = [channel * each, (channel + 1) * each];
      const range = view.perMap ? largest(output, start, end) : view.range;
      paint(output, start, end, range, words.subarray(start, end));
    }
  }
  return words;
}

function drawn(view, words, width, height) {
  const scratch = view.scratch;
  if (scratch.width !== width || scratch.height !== height) Object.assign(scratch, { width, height });
  scratch.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(words.buffer), width, height), 0, 0);
  return scratch;
}

function paintCells(view, context) {
  const words = colours(view, sizeOf(view.layer), 1);
  const { perRow, width, height } = view.geometry;
  const rows = Math.ceil(words.length / perRow);
  const padded = new Uint32Array(perRow * rows);
  padded.set(words);
  context.imageSmoothingEnabled = false;
  context.drawImage(drawn(view, padded, perRow, rows), 0, 0, width, height);
}

function paintBars(view, context) {
  const { output } = view.layer;
  const labelled = view.geometry.style === "labelled";
  const { positive, negative, line, muted: ink } = palette;
  context.font = `${labelled ? 12 : 10}px ${palette.sans}`;
  context.textAlign = "center";
  for (let unit = 0; unit < output.length; unit++) {
    const { x, y, width, height } = view.geometry.cell(unit);
    const room = labelled ? height - 20 : height;
    const zero = y + (view.signed ? room / 2 : room - 1);
    const reach = view.signed ? room / 2 - 1 : room - 2;
    const length = view.blank || !view.range ? 0 : (output[unit] / view.range) * reach;
    context.fillStyle = length < 0 ? negative : positive;
    context.fillRect(x + 1, Math.min(zero, zero - length), Math.max(1, width - (labelled ? 8 : 2)), Math.abs(length));
    context.fillStyle = line;
    context.fillRect(x, zero, width, 1);
    if (view.off?.includes(unit)) crossOut(context, x + 1, y, width - 2, room);
    context.fillStyle = ink;
    if (labelled)
      context.fillText(
        view.classes[unit].slice(0, Math.max(1, Math.floor(width / 7))),
        x + width / 2 - 3,
        y + height - 5,
        width,
      );
  }
}

/** Lights up a field and veils the rest; without a field nothing is veiled. */
export function paintField(view) {
  const { geometry, field } = view;
  if (!field) {
    view.overlay.width = 0;
    return;
  }
  const context = sharp(view.overlay, geometry.width, geometry.height);
  context.fillStyle = view.grey ? "rgb(0 0 0 / 60%)" : palette.veil;
  if (view.veiled) context.fillRect(0, 0, geometry.width, geometry.height);
  for (const box of boxes(view, field)) {
    context.clearRect(box.x, box.y, box.width, box.height);
    outline(context, box, palette[view.grey ? "focus-on-dark" : "focus"]);
  }
}

function boxes(view, field) {
  const { geometry } = view;
  if (field.units) {
    const [first, last] = field.units;
    if (first === last) return [geometry.cell(first)];
    return [{ x: 0, y: 0, width: geometry.width, height: geometry.height }];
  }
  const [first, last] = field.channels;
  const lit = geometry.channels.filter((channel) => channel >= first && channel <= last);
  return lit.map((channel) => geometry.fieldIn(channel, field));
}

function outline(context, { x, y, width, height }, colour) {
  context.lineWidth = 2;
  context.strokeStyle = colour;
  context.strokeRect(x, y, width, height);
}

function crossOut(context, x, y, width, height) {
  context.save();
  context.strokeStyle = palette.muted;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + width, y + height);
  context.moveTo(x + width, y);
  context.lineTo(x, y + height);
  context.stroke();
  context.restore();
}
