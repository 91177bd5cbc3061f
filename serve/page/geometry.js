/** Where each number of a layer is on its picture, in CSS pixels. `cell(unit)` and `at(x, y)` are inverse. */

import { isMaps, positionOf, sizeOf, unitAt } from "./network.js";

const GAP = 6;

/** Of some channels of maps only, in that order, where they are named. */
export function geometryOf(layer, width, classes, channels = null) {
  if (isMaps(layer)) return maps(layer, width, channels ?? Array.from({ length: layer.shape[0] }, (_, index) => index));
  if (layer.kind === "reshape" || layer.kind === "identity") return cells(layer, width);
  return sizeOf(layer) === classes.length ? labelled(layer, width) : bars(layer, width);
}

function maps(layer, width, channels) {
  const [all, rows, columns] = layer.shape;
  const count = channels.length;
  const slots = new Map(channels.map((channel, slot) => [channel, slot]));
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; // larger for a projector
  const wanted = rem * (all === 1 ? 112 : all <= 8 ? 88 : all <= 32 ? 68 : 56);
  const scale = Math.max(1, Math.floor(Math.min(wanted, width) / columns));
  const [tileWidth, tileHeight] = [columns * scale, rows * scale];
  const perRow = Math.max(1, Math.min(count, Math.floor((width + GAP) / (tileWidth + GAP))));
  const tile = (channel) => ({
    x: (slots.get(channel) % perRow) * (tileWidth + GAP),
    y: Math.floor(slots.get(channel) / perRow) * (tileHeight + GAP),
    width: tileWidth,
    height: tileHeight,
  });
  return {
    style: "maps",
    width: perRow * (tileWidth + GAP) - GAP,
    height: Math.ceil(count / perRow) * (tileHeight + GAP) - GAP,
    perRow,
    channels,
    has: (channel) => slots.has(channel),
    tile,
    cell(unit) {
      const { channel, row, column } = positionOf(layer, unit);
      const { x, y } = tile(channel);
      return { x: x + column * scale, y: y + row * scale, width: scale, height: scale };
    },
    fieldIn(channel, { rows: [top, bottom], columns: [left, right] }) {
      const { x, y } = tile(channel);
      return {
        x: x + left * scale,
        y: y + top * scale,
        width: (right - left + 1) * scale,
        height: (bottom - top + 1) * scale,
      };
    },
    at(x, y) {
      const [across, down] = [Math.floor(x / (tileWidth + GAP)), Math.floor(y / (tileHeight + GAP))];
      const channel = channels[down * perRow + across];
      if (across < 0 || across >= perRow || channel === undefined) return -1;
      const inside = tile(channel);
      const column = Math.min(columns - 1, Math.max(0, Math.floor((x - inside.x) / scale)));
      const row = Math.min(rows - 1, Math.max(0, Math.floor((y - inside.y) / scale)));
      return unitAt(layer, { channel, row, column });
    },
  };
}

/** Units of the same size in rows, each `across` × `down` pixels. */
function lines(layer, width, across, down, gap, style) {
  const count = sizeOf(layer);
  const most = Math.max(1, Math.floor(width / across));
  const perRow = Math.ceil(count / Math.ceil(count / most)); // rows of the same length
  return {
    style,
    width: perRow * across,
    height: Math.ceil(count / perRow) * (down + gap) - gap,
    perRow,
    cell: (unit) => ({
      x: (unit % perRow) * across,
      y: Math.floor(unit / perRow) * (down + gap),
      width: across,
      height: down,
    }),
    at(x, y) {
      const [column, row] = [Math.floor(x / across), Math.floor(y / (down + gap))];
      const unit = row * perRow + column;
      return column < 0 || column >= perRow || row < 0 || unit >= count ? -1 : unit;
    },
  };
}

const cells = (layer, width) => lines(layer, width, 7, 7, 0, "cells");
const bars = (layer, width) => lines(layer, width, Math.max(7, Math.min(12, width / sizeOf(layer))), 44, 8, "bars");
const labelled = (layer, width) =>
  lines(layer, width, Math.max(26, Math.min(52, width / sizeOf(layer))), 92, 8, "labelled");

/** The unit one arrow key away, or the same one at an edge. */
export function neighbour(layer, geometry, unit, key) {
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const pages = { PageUp: -1, PageDown: 1 };
  if (!isMaps(layer)) {
    const [down, across] = steps[key] ?? [(pages[key] ?? 0) * 4, 0];
    const next = unit + across + down * geometry.perRow;
    return next >= 0 && next < sizeOf(layer) ? next : unit;
  }
  const { channel, row, column } = positionOf(layer, unit);
  const [, height, width] = layer.shape;
  const [down, across] = steps[key] ?? [0, 0];
  const clamp = (value, end) => Math.max(0, Math.min(end - 1, value));
  const { channels } = geometry;
  return unitAt(layer, {
    channel: channels[clamp(channels.indexOf(channel) + (pages[key] ?? 0), channels.length)],
    row: clamp(row + down, height),
    column: clamp(column + across, width),
  });
}
