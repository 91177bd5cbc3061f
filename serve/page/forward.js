/** The forward pass, over typed arrays: what ONNX Runtime computes, with every layer's output kept. */

import { sizeOf } from "./network.js";

const BLOCK = 4; // channels that are summed up together: each number that is read serves all of them

export class UnknownOperator extends Error {
  kind = "operator";
}

/** An operator takes (layer, its inputs' outputs, their layers) and returns the layer's output. */
const OPERATORS = {
  Conv: convolution,
  Gemm: dense,
  MatMul: dense,
  MaxPool: pooling,
  AveragePool: pooling,
  GlobalMaxPool: (layer, [values]) => perMap(layer, values, (map) => map.reduce((most, value) => Math.max(most, value))),
  GlobalAveragePool: meanOfMaps,
  ReduceMean: meanOfMaps,
  BatchNormalization: normalization,
  Flatten: same,
  Reshape: same,
  Squeeze: same,
  Identity: same,
  Dropout: same,
  Softmax: (layer, [values]) => softmax(values, false),
  LogSoftmax: (layer, [values]) => softmax(values, true),
  Relu: (layer, [values]) => values.map((value) => (value > 0 ? value : 0)),
  Sigmoid: (layer, [values]) => values.map((value) => 1 / (1 + Math.exp(-value))),
  Tanh: (layer, [values]) => values.map(Math.tanh),
  LeakyRelu: ({ options }, [values]) => values.map((value) => (value < 0 ? options.alpha * value : value)),
  Elu: ({ options }, [values]) => values.map((value) => (value < 0 ? options.alpha * Math.expm1(value) : value)),
  Add: arithmetic((one, other) => one + other),
  Sub: arithmetic((one, other) => one - other),
  Mul: arithmetic((one, other) => one * other),
  Div: arithmetic((one, other) => one / other),
  Concat: (layer, inputs) => Float32Array.from(inputs.flatMap((values) => [...values])),
  ReduceSumSquare: (layer, [values]) => Float32Array.of(values.reduce((sum, value) => sum + value * value, 0)),
  ReduceMin: (layer, [values]) => Float32Array.of(values.reduce((least, value) => Math.min(least, value))),
};

/** Throws UnknownOperator, its message the operator's name, where a layer cannot be computed here. */
export function check(layers) {
  for (const { op, kind } of layers) if (!["input", "normalized"].includes(kind) && !OPERATORS[op]) throw new UnknownOperator(op);
}

/** Outputs by layer name, added to those of layers `before`; each {layer, unit} of `ablated` is switched off for all
 * that follows. */
export function forward(layers, image, ablated = [], { before = [], outputs = new Map() } = {}) {
  const byName = new Map([...before, ...layers].map((layer) => [layer.name, layer]));
  for (const layer of layers) {
    const inputs = layer.inputs.map((name) => outputs.get(name));
    const output = outputOf(layer, image, inputs, byName);
    for (const { unit } of ablated.filter(({ layer: name }) => name === layer.name)) {
      const each = output.length / layer.shape[0];
      output.fill(0, unit * each, (unit + 1) * each);
    }
    outputs.set(layer.name, output);
  }
  return outputs;
}

function outputOf(layer, image, inputs, byName) {
  if (layer.kind === "input") return Float32Array.from(image);
  if (layer.kind === "normalized") return layer.options.steps.reduce(stepped, inputs[0]);
  return OPERATORS[layer.op](layer, inputs, layer.inputs.map((name) => byName.get(name)));
}

function same(layer, [values]) {
  return values.slice();
}

// Sums of products

function convolution(layer, [values], [source]) {
  const patches = patchesOf(layer, values, source);
  const { weight, bias } = layer.weights;
  const groups = layer.options.group ?? 1;
  const [channels, rows, columns] = layer.shape;
  const [each, terms, places] = [channels / groups, sizeOf(weight) / channels, rows * columns];
  const output = new Float32Array(channels * places);
  layer.packed ??= Array.from({ length: groups }, (_, group) => packed(weight.data, group * each, each, terms));
  for (let group = 0; group < groups; group++) {
    const seen = patches.subarray(group * terms * places, (group + 1) * terms * places);
    products(layer.packed[group], seen, output.subarray(group * each * places, (group + 1) * each * places), each, terms, places);
  }
  if (bias) for (let at = 0; at < output.length; at++) output[at] += bias.data[Math.floor(at / places)];
  return output;
}

/** Row after row what one weight is multiplied with, at all places: [in × height × width, rows × columns]. */
function patchesOf({ shape: [, rows, columns], options, weights }, values, { shape: [channels, height, width] }) {
  const { kernel, strides, pads, dilations } = options;
  const places = rows * columns;
  const patches = scratch(channels * kernel[0] * kernel[1] * places);
  let row = 0;
  for (let channel = 0; channel < channels; channel++)
    for (let down = 0; down < kernel[0]; down++)
      for (let across = 0; across < kernel[1]; across++, row++) {
        const [top, left] = [down * dilations[0] - pads[0], across * dilations[1] - pads[1]];
        for (let y = 0; y < rows; y++) {
          const at = row * places + y * columns;
          const from = y * strides[0] + top;
          const line = (channel * height + from) * width;
          const isIn = from >= 0 && from < height;
          for (let x = 0; x < columns; x++) {
            const beside = x * strides[1] + left;
            patches[at + x] = isIn && beside >= 0 && beside < width ? values[line + beside] : 0;
          }
        }
      }
  return patches;
}

let room = new Float64Array(0);

/** The same memory each time: a stroke asks for megabytes of it. */
function scratch(size) {
  if (room.length < size) room = new Float64Array(size);
  return room.subarray(0, size);
}

/** Weights of `count` channels from `first`, BLOCK channels side by side. */
function packed(weights, first, count, terms) {
  const blocks = Math.ceil(count / BLOCK);
  const found = new Float64Array(blocks * BLOCK * terms);
  for (let channel = 0; channel < count; channel++)
    for (let term = 0; term < terms; term++)
      found[(Math.floor(channel / BLOCK) * terms + term) * BLOCK + (channel % BLOCK)] =
        weights[(first + channel) * terms + term];
  return found;
}

/** output[channel, place] = Σ weights[channel, term] · patches[term, place], two places and BLOCK channels at once. */
function products(weights, patches, output, channels, terms, places) {
  for (let channel = 0; channel < channels; channel += BLOCK) {
    const from = channel * terms;
    for (let place = 0; place < places; place += 2) {
      let [a0, b0, c0, d0, a1, b1, c1, d1] = [0, 0, 0, 0, 0, 0, 0, 0];
      const isPair = place + 1 < places;
      for (let term = 0, at = from, seen = place; term < terms; term++, at += BLOCK, seen += places) {
        const one = patches[seen];
        const other = isPair ? patches[seen + 1] : 0;
        const [a, b, c, d] = [weights[at], weights[at + 1], weights[at + 2], weights[at + 3]];
        a0 += a * one;
        b0 += b * one;
        c0 += c * one;
        d0 += d * one;
        a1 += a * other;
        b1 += b * other;
        c1 += c * other;
        d1 += d * other;
      }
      put(output, channel, channels, places, place, a0, b0, c0, d0);
      if (isPair) put(output, channel, channels, places, place + 1, a1, b1, c1, d1);
    }
  }
}

function put(output, channel, channels, places, place, a, b, c, d) {
  let at = channel * places + place;
  output[at] = a;
  if (channel + 1 < channels) output[(at += places)] = b;
  if (channel + 2 < channels) output[(at += places)] = c;
  if (channel + 3 < channels) output[(at += places)] = d;
}

function dense({ weights: { weight, bias } }, [values]) {
  const [{ data }, count] = [weight, values.length];
  const output = new Float32Array(weight.shape[0]);
  for (let unit = 0; unit < output.length; unit++) {
    let [a, b, at] = [bias?.data[unit] ?? 0, 0, unit * count];
    let index = 0;
    for (; index + 1 < count; index += 2, at += 2) {
      a += data[at] * values[index];
      b += data[at + 1] * values[index + 1];
    }
    output[unit] = a + b + (index < count ? data[at] * values[index] : 0);
  }
  return output;
}

// Of maps

function pooling({ op, shape: [channels, rows, columns], options }, [values], [{ shape: [, height, width] }]) {
  const { kernel, strides, pads, dilations, count_include_pad: all } = options;
  const isMax = op === "MaxPool";
  const output = new Float32Array(channels * rows * columns);
  for (let at = 0; at < output.length; at++) {
    const [channel, place] = [Math.floor(at / (rows * columns)), at % (rows * columns)];
    const top = Math.floor(place / columns) * strides[0] - pads[0];
    const left = (place % columns) * strides[1] - pads[1];
    let [best, sum, count] = [-Infinity, 0, 0];
    for (let y = top; y < top + kernel[0] * dilations[0]; y += dilations[0])
      for (let x = left; x < left + kernel[1] * dilations[1]; x += dilations[1]) {
        if (y < 0 || x < 0 || y >= height || x >= width) continue;
        const value = values[(channel * height + y) * width + x];
        if (value > best) best = value;
        sum += value;
        count++;
      }
    output[at] = isMax ? best : sum / (all ? kernel[0] * kernel[1] : count);
  }
  return output;
}

function perMap({ shape }, values, work) {
  const each = values.length / shape[0];
  return Float32Array.from({ length: shape[0] }, (_, map) => work(values.subarray(map * each, (map + 1) * each)));
}

function meanOfMaps(layer, [values]) {
  if (sizeOf(layer) !== layer.shape[0]) throw new UnknownOperator(layer.op); // other axes than those of a map
  return perMap(layer, values, (map) => map.reduce((sum, value) => sum + value, 0) / map.length);
}

function normalization({ weights, options, shape: [channels] }, [values]) {
  const { scale, bias, mean, variance } = weights;
  const each = values.length / channels;
  return values.map((value, at) => {
    const map = Math.floor(at / each);
    const factor = scale.data[map] / Math.sqrt(variance.data[map] + options.epsilon);
    return (value - mean.data[map]) * factor + bias.data[map];
  });
}

// Of each number

function arithmetic(work) {
  return ({ options, weights }, [values, others = weights.weight?.data]) => {
    const [by] = options.steps ?? [];
    if (by) return values.map((value) => work(value, by.by));
    return values.map((value, at) => work(value, others[others.length === 1 ? 0 : at]));
  };
}

const STEPS = { Add: (a, b) => a + b, Sub: (a, b) => a - b, Mul: (a, b) => a * b, Div: (a, b) => a / b };

/** By one number, or by one for each channel. */
function stepped(values, { op, by }) {
  if (!STEPS[op]) return values.slice(); // Cast
  const all = [by].flat();
  const each = values.length / all.length;
  return values.map((value, at) => STEPS[op](value, all[Math.floor(at / each)]));
}

function softmax(values, isLog) {
  const highest = values.reduce((most, value) => Math.max(most, value));
  const total = values.reduce((sum, value) => sum + Math.exp(value - highest), 0);
  return values.map((value) =>
    isLog ? value - highest - Math.log(total) : Math.exp(value - highest) / total,
  );
}
