/** Drawings as the networks take them: what serve/pictures does, for what the board can hold.
 *
 * Photographs, pages within pictures and shaded paper are the server's. A picture is {data, height, width}, one byte a
 * pixel, light ink on a dark ground.
 */

import { blurred, resized } from "./resample.js";

const FINE = 80; // pixels of the digit's longer side while setting its stroke
const [THINNEST, USUAL, THICKEST] = [0.12, 0.135, 0.165]; // strokes, share of the longer side
const CELLS = 128; // along the longer side, at which blobs are told apart
const FAINTEST = 6; // grey levels that ink must stand out by

/** Pixels [C, H, W] for a network that learned from pictures of a `digit`, its edges of a softness, or of a `thing`;
 * null where there is no ink. */
export function prepared(picture, [channels, height, width], { picture: kind, softness = 0 }) {
  const isDigit = kind === "digit" && height === width;
  const pixels = isDigit ? digit(picture, height, softness) : thing(picture, [height, width]);
  if (!pixels || channels === 1) return pixels;
  const all = new Uint8Array(channels * pixels.length);
  for (let channel = 0; channel < channels; channel++) all.set(pixels, channel * pixels.length);
  return all;
}

function digit(picture, size, softness) {
  const ink = separate(picture);
  if (!ink) return null;
  return softened(frame(withUsualStroke(cropped(ink)), size), size, softness);
}

// Ink

/** The digit's ink in 0..1, without specks and frames; null where there is none. */
function separate({ data, height, width }) {
  const level = inkLevel(data);
  if (level === null) return null;
  const [low, span] = [Math.fround(0.25 * level), Math.fround(0.65 * level)];
  const ink = Float32Array.from(data, (value) => Math.min(1, Math.max(0, Math.fround(value - low) / span)));
  const dark = { data: Float32Array.from(ink, (value) => (value > 0.5 ? 1 : 0)), height, width };
  const cells = resized(dark, Math.max(height, width) > CELLS ? fitted(dark, CELLS) : [height, width]);
  const mask = digitOf(blobsOf({ ...cells, data: Uint8Array.from(cells.data, (value) => (value > 0.1 ? 1 : 0)) }));
  if (!mask) return null;
  const kept = resized({ ...cells, data: mask }, [height, width]).data;
  const found = ink.map((value, at) => (kept[at] > 0 ? value : 0));
  return found.some((value) => value > 0) ? { data: found, height, width } : null;
}

/** The usual contrast of ink: the mean of the upper class (Otsu) of what rises above the noise; null if noise. */
function inkLevel(data) {
  const counts = new Float64Array(256);
  for (const value of data) counts[value]++;
  const most = counts.findLastIndex((count) => count > 0);
  const calm = counts.map((count, tone) => (tone <= Math.floor(most / 2) ? count : 0));
  const middle = medianOf(calm);
  const off = new Float64Array(256);
  calm.forEach((count, tone) => (off[Math.abs(tone - middle)] += count));
  const noise = Math.max(middle + 4.5 * medianOf(off), FAINTEST);
  const inked = counts.map((count, tone) => (tone > noise ? count : 0));
  const total = sumOf(inked);
  if (total < 4) return null;
  const weight = sumOf(inked.map((count, tone) => count * tone));
  let [below, sum, best, split] = [0, 0, -1, { level: 0 }];
  inked.forEach((count, tone) => {
    below += count;
    sum += count * tone;
    const [above, rest] = [total - below, weight - sum];
    const between = below * above * (rest / Math.max(above, 1) - sum / Math.max(below, 1)) ** 2;
    if (between > best) [best, split] = [between, { level: above ? rest / above : weight / total }];
  });
  return split.level > 1.8 * noise ? split.level : null;
}

const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

function medianOf(counts) {
  const half = sumOf(counts) / 2;
  let sum = 0;
  return counts.findIndex((count) => (sum += count) >= half);
}

/** The 8-connected blobs of a mask of which each pixel was grown by one, the largest first. */
function blobsOf({ data, height, width }) {
  const grown = new Uint8Array(data.length);
  around(height, width, (at, beside) => (grown[beside] |= data[at]));
  const label = new Int32Array(data.length);
  const blobs = [];
  for (let start = 0; start < grown.length; start++) {
    if (!grown[start] || label[start]) continue;
    const waiting = [start];
    label[start] = blobs.length + 1;
    for (let next = 0; next < waiting.length; next++)
      for (const beside of neighbours(waiting[next], height, width))
        if (grown[beside] && !label[beside]) {
          label[beside] = blobs.length + 1;
          waiting.push(beside);
        }
    blobs.push(new Spot(waiting, height, width));
  }
  return blobs.map((blob, name) => ({ blob, name })).sort((a, b) => a.blob.size - b.blob.size || a.name - b.name).reverse().map(({ blob }) => blob);
}

function* neighbours(at, height, width) {
  const [y, x] = [Math.floor(at / width), at % width];
  for (let row = Math.max(0, y - 1); row <= Math.min(height - 1, y + 1); row++)
    for (let column = Math.max(0, x - 1); column <= Math.min(width - 1, x + 1); column++) yield row * width + column;
}

function around(height, width, work) {
  for (let at = 0; at < height * width; at++) for (const beside of neighbours(at, height, width)) work(at, beside);
}

/** The largest blob that is no frame, and those near it that are no specks, as a mask; null without blobs. */
function digitOf(blobs) {
  const found = blobs.slice(0, 16);
  if (!found.length) return null;
  const inside = found.filter((blob) => !found.some((other) => blob.frames(other)));
  let [digit, ...rest] = inside.length ? inside : found;
  for (;;) {
    const near = rest.filter((blob) => digit.reaches(blob));
    if (!near.length) return digit.mask;
    rest = rest.filter((blob) => !near.includes(blob));
    digit = new Spot([digit, ...near].flatMap(({ cells }) => [...cells]), digit.height, digit.width);
  }
}

class Spot {
  constructor(cells, height, width) {
    Object.assign(this, { cells, height, width, size: cells.length });
    const [ys, xs] = [cells.map((at) => Math.floor(at / width)), cells.map((at) => at % width)];
    const least = (values) => values.reduce((one, other) => Math.min(one, other));
    const most = (values) => values.reduce((one, other) => Math.max(one, other)) + 1;
    this.low = [least(ys), least(xs)];
    this.high = [most(ys), most(xs)];
    this.extent = Math.max(this.high[0] - this.low[0], this.high[1] - this.low[1]);
  }

  get mask() {
    const mask = new Uint8Array(this.height * this.width);
    for (const at of this.cells) mask[at] = 1;
    return mask;
  }

  reaches(other) {
    const gaps = [0, 1].flatMap((axis) => [this.low[axis] - other.high[axis], other.low[axis] - this.high[axis]]);
    const isAlike = 0.6 * this.extent < other.extent; // a second digit: seen with the first, the two are no digit
    return other.extent > 0.15 * this.extent && Math.max(...gaps) < (isAlike ? 0.6 : 0.2) * this.extent;
  }

  /** Whether this runs around the other, or along the page's edge beside it. */
  frames(other) {
    if (other === this || other.extent < 0.08 * Math.max(this.height, this.width)) return false;
    const around = [0, 1].every((axis) => other.low[axis] > this.low[axis] && other.high[axis] < this.high[axis]);
    if (around && other.extent > 0.3 * this.extent) return this.#along(this.low, this.high) > 0.7;
    const page = [[0, 0], [this.height, this.width]];
    const touches = [0, 1].some((axis) => this.low[axis] === 0 || this.high[axis] === page[1][axis]);
    return touches && this.#along(...page) > 0.7 && other.#along(...page) < 0.5;
  }

  /** The share of this that lies in the outer 15 % of the box. */
  #along(low, high) {
    const room = [0, 1].map((axis) => even(0.15 * (high[axis] - low[axis])));
    const isInside = (value, axis) => value >= low[axis] + room[axis] && value < high[axis] - room[axis];
    const inside = this.cells.filter((at) => isInside(Math.floor(at / this.width), 0) && isInside(at % this.width, 1));
    return 1 - inside.length / this.size;
  }
}

/** To the nearest whole number, halves to the even one, as Python and NumPy round. */
function even(value) {
  const whole = Math.round(value);
  return Math.abs(value % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
}

// Frame and stroke

function cropped({ data, height, width }) {
  let [top, left, bottom, right] = [height, width, -1, -1];
  data.forEach((value, at) => {
    if (!value) return;
    const [y, x] = [Math.floor(at / width), at % width];
    [top, bottom, left, right] = [Math.min(top, y), Math.max(bottom, y), Math.min(left, x), Math.max(right, x)];
  });
  const [rows, columns] = [bottom - top + 1, right - left + 1];
  const found = new data.constructor(rows * columns);
  for (let y = 0; y < rows; y++)
    found.set(data.subarray((top + y) * width + left, (top + y) * width + left + columns), y * columns);
  return { data: found, height: rows, width: columns };
}

/** The shape with its longer side set to the box. */
function fitted({ height, width }, box) {
  return [height, width].map((side) => Math.max(1, even((side * box) / Math.max(height, width))));
}

/** Fitted into the middle 20/28 of the frame, centre of mass at the centre, the strongest ink at 255. */
function frame(ink, size) {
  const framed = new Uint8Array(size * size);
  const { data, height, width } = resized(cropped(ink), fitted(cropped(ink), even((size * 20) / 28)));
  const rows = Float32Array.from({ length: height }, (_, y) => numpySum(data.subarray(y * width, (y + 1) * width)));
  const columns = new Float32Array(width);
  data.forEach((value, at) => (columns[at % width] += value));
  const [top, left] = [offset(rows, size), offset(columns, size)];
  const factor = Math.fround(255 / data.reduce((most, value) => Math.max(most, value)));
  data.forEach((value, at) => {
    framed[(top + Math.floor(at / width)) * size + left + (at % width)] = even(Math.fround(value * factor));
  });
  return framed;
}

/** Where to put the first row (column) so that the centre of mass lies on index size / 2. */
function offset(profile, size) {
  const centre = profile.reduce((sum, value, at) => sum + value * at, 0) / numpySum(profile);
  return Math.min(Math.max(even(size / 2 - centre), 0), size - profile.length);
}

/** A sum of floats, rounded as NumPy's is: an upright 1 lies on the edge between two columns, and rounding decides. */
function numpySum(values) {
  const whole = values.length < 8 ? 0 : values.length - (values.length % 8);
  const parts = new Float32Array(8);
  for (let at = 0; at < whole; at++) parts[at % 8] += values[at];
  const [a, b, c, d] = [0, 2, 4, 6].map((at) => Math.fround(parts[at] + parts[at + 1]));
  const sum = Math.fround(Math.fround(a + b) + Math.fround(c + d));
  return values.subarray(whole).reduce((total, value) => Math.fround(total + value), sum);
}

function softened(framed, size, softness) {
  const soft = blurred({ data: framed, height: size, width: size }, (softness * size) / 28).data;
  const factor = Math.fround(255 / soft.reduce((most, value) => Math.max(most, value)));
  return soft.map((value) => even(Math.fround(value * factor)));
}

/** Strokes that would vanish in MNIST's small box, or fill it, drawn again with a pen like its writers'. */
function withUsualStroke(ink) {
  const mask = large(ink);
  const width = stroke(mask);
  if (THINNEST * FINE <= width && width <= THICKEST * FINE) return ink;
  const radius = (USUAL * FINE - width) / 2;
  const redrawn = radius > 0 ? thickened(mask, radius) : flipped(thickened(flipped(mask), -radius));
  return redrawn.data.some(Boolean) ? redrawn : mask;
}

/** Where the ink is, its longer side FINE, with room for a thicker pen. */
function large(ink) {
  const { data, height, width } = resized(ink, fitted(ink, FINE));
  const most = data.reduce((one, other) => Math.max(one, other));
  const inked = data.filter((value) => value > Math.fround(0.05) * most).sort();
  const place = 0.9 * (inked.length - 1);
  const [low, high] = [inked[Math.floor(place)], inked[Math.ceil(place)]];
  const level = 0.5 * (low + (high - low) * (place % 1));
  const room = even(FINE * USUAL);
  const [rows, columns] = [height + 2 * room, width + 2 * room];
  const mask = new Uint8Array(rows * columns);
  data.forEach((value, at) => {
    if (value > level) mask[(Math.floor(at / width) + room) * columns + (at % width) + room] = 1;
  });
  return { data: mask, height: rows, width: columns };
}

/** The width of strokes: their area over half of their outline, which steps lengthen. */
function stroke({ data, width }) {
  let [area, edges] = [0, 0];
  data.forEach((value, at) => {
    area += value;
    if (at % width) edges += value !== data[at - 1];
    if (at >= width) edges += value !== data[at - width];
  });
  return (2 * (4 / Math.PI) * area) / edges;
}

function thickened({ data, height, width }, radius) {
  const thick = data.slice();
  const reach = Math.trunc(radius);
  const wrapped = (value, size) => (value + size) % size;
  for (let down = -reach; down <= reach; down++)
    for (let across = -reach; across <= reach; across++) {
      if (down * down + across * across > radius ** 2) continue;
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          if (data[y * width + x]) thick[wrapped(y + down, height) * width + wrapped(x + across, width)] = 1;
    }
  return { data: thick, height, width };
}

const flipped = (mask) => ({ ...mask, data: mask.data.map((value) => 1 - value) });

// What is no digit

/** The whole picture, its aspect kept, on a dark ground: inverted where its edge is light. */
function thing({ data, height, width }, shape) {
  const edges = [];
  data.forEach((value, at) => {
    const [y, x] = [Math.floor(at / width), at % width];
    const times = (y === 0) + (y === height - 1) + (x === 0) + (x === width - 1);
    for (let time = 0; time < times; time++) edges.push(value);
  });
  edges.sort((one, other) => one - other);
  const edge = (edges[(edges.length - 1) >> 1] + edges[edges.length >> 1]) / 2;
  const grey = edge > 127 ? data.map((value) => 255 - value) : data;
  if (height === shape[0] && width === shape[1]) return grey;
  const scale = Math.min(shape[0] / height, shape[1] / width);
  const small = resized({ data: grey, height, width }, [height, width].map((side) => Math.max(1, even(side * scale))));
  const [top, left] = [(shape[0] - small.height) >> 1, (shape[1] - small.width) >> 1];
  const ground = new Uint8Array(shape[0] * shape[1]).fill(even(Math.min(edge, 255 - edge)));
  small.data.forEach((value, at) => {
    ground[(top + Math.floor(at / small.width)) * shape[1] + left + (at % small.width)] = even(value);
  });
  return ground;
}
