/** How one number came to be, from the network's own weights and the numbers before it. */

import { isMaps, positionOf, unitAt } from "./network.js";

/** Layers are those of /explain, each with `output` and `weights`. */
export function derivation(layers, layer, unit) {
  const source = layers.find(({ name }) => name === layer.inputs[0]);
  const value = layer.output[unit];
  const kinds = {
    convolution,
    dense,
    pooling,
    softmax,
    reshape: (_, before, at) => ({ from: before, unit: at, input: before.output[at] }),
    identity: (_, before, at) => ({ from: before, unit: at, input: before.output[at] }),
    activation: (_, before, at) => ({ from: before, unit: at, input: before.output[at] }),
    normalized: steps,
    arithmetic: (each, before, at) => (each.options.steps ? steps(each, before, at) : {}),
    normalization,
  };
  const found = source && kinds[layer.kind] ? kinds[layer.kind](layer, source, unit) : {};
  return { kind: layer.kind, op: layer.op, value, ...found };
}

function steps(layer, source, unit) {
  return { from: source, unit, input: source.output[unit], steps: layer.options.steps };
}

function convolution(layer, source, unit) {
  const { channel, row, column } = positionOf(layer, unit);
  const { weight, bias } = layer.weights;
  const [, into, height, width] = weight.shape;
  const first = Math.floor(channel / (layer.shape[0] / (layer.options.group ?? 1))) * into;
  const channels = [];
  for (let index = 0; index < into; index++) {
    const start = (channel * into + index) * height * width;
    const kernel = weight.data.slice(start, start + height * width);
    const patch = patchOf(source, layer.options, first + index, row, column);
    const products = kernel.map((factor, position) => factor * patch.values[position]);
    const sum = products.reduce((total, product) => total + product, 0);
    channels.push({ channel: first + index, kernel, patch: patch.values, units: patch.units, products, sum });
  }
  const offset = bias ? bias.data[channel] : 0;
  const sum = channels.reduce((total, each) => total + each.sum, 0);
  return { from: source, channels, shape: [height, width], bias: offset, sum, total: sum + offset };
}

/** The numbers under a window; beyond the edge they are 0 and have no unit. */
function patchOf(source, { kernel, strides, pads, dilations }, channel, row, column) {
  const [, height, width] = source.shape;
  const values = new Float32Array(kernel[0] * kernel[1]);
  const units = new Int32Array(values.length).fill(-1);
  for (let position = 0; position < values.length; position++) {
    const y = row * strides[0] - pads[0] + Math.floor(position / kernel[1]) * (dilations?.[0] ?? 1);
    const x = column * strides[1] - pads[1] + (position % kernel[1]) * (dilations?.[1] ?? 1);
    if (y < 0 || x < 0 || y >= height || x >= width) continue;
    units[position] = unitAt(source, { channel, row: y, column: x });
    values[position] = source.output[units[position]];
  }
  return { values, units };
}

function dense(layer, source, unit) {
  const { weight, bias } = layer.weights;
  const count = source.output.length;
  const weights = weight.data.subarray(unit * count, (unit + 1) * count);
  const products = weights.map((factor, index) => factor * source.output[index]);
  const sum = products.reduce((total, product) => total + product, 0);
  const offset = bias ? bias.data[unit] : 0;
  return { from: source, weights, products, bias: offset, sum, total: sum + offset };
}

function pooling(layer, source, unit) {
  const { channel, row, column } = positionOf(layer, unit);
  const [, height, width] = source.shape;
  const whole = { kernel: [height, width], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1] };
  const options = layer.options.kernel ? layer.options : whole;
  const patch = patchOf(source, options, channel, row ?? 0, column ?? 0);
  const inside = [...patch.values.keys()].filter((position) => patch.units[position] >= 0);
  const largest = inside.reduce(
    (best, position) => (patch.values[position] > patch.values[best] ? position : best),
    inside[0],
  );
  return {
    from: source,
    patch: patch.values,
    units: patch.units,
    shape: options.kernel,
    largest,
    isMax: layer.op.includes("Max"),
    sum: patch.values.reduce((total, each) => total + each, 0),
    counted: options.count_include_pad ? patch.values.length : inside.length,
  };
}

function softmax(layer, source, unit) {
  const highest = Math.max(...source.output);
  const powers = Array.from(source.output, (value) => Math.exp(value - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const isLog = layer.op === "LogSoftmax";
  return { from: source, unit, highest, powers, total, isLog, input: source.output[unit] };
}

function normalization(layer, source, unit) {
  const { channel } = positionOf(layer, unit);
  const at = (role) => layer.weights[role].data[channel];
  const epsilon = layer.options.epsilon ?? 1e-5;
  return {
    from: source,
    unit,
    input: source.output[unit],
    mean: at("mean"),
    variance: at("variance"),
    scale: at("scale"),
    bias: at("bias"),
    epsilon,
  };
}

/** The layer whose maps a row of numbers was laid out from, if the row is such a layout. */
export function unrolledFrom(layers, layer) {
  let each = layer;
  while (each && !isMaps(each) && ["reshape", "identity"].includes(each.kind)) {
    each = layers.find(({ name }) => name === each.inputs[0]);
  }
  return each && isMaps(each) ? each : null;
}
