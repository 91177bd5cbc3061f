/** What can be said of a network's layers by arithmetic alone: positions, signs, receptive fields.
 *
 * A unit is one number of a layer's output, named by its index in the flat output. A field is a box of units:
 * {channels: [first, last], rows: [first, last], columns: [first, last]} in maps, {units: [first, last]} in rows.
 */

export const isMaps = (layer) => layer.shape.length === 3;
export const sizeOf = (layer) => layer.shape.reduce((product, side) => product * side, 1);

const FOLDED = new Set(["activation", "normalization", "pooling"]);

/** Layers as people speak of them: a convolution with what only works on its maps, every other layer alone. */
export function blocksOf(layers) {
  const blocks = [];
  for (const layer of layers) {
    const block = blocks.at(-1);
    const follows = layer.inputs.length === 1 && layer.inputs[0] === block?.at(-1).name;
    if (follows && block[0].kind === "convolution" && FOLDED.has(layer.kind) && isMaps(layer)) block.push(layer);
    else blocks.push([layer]);
  }
  return blocks;
}

/** Channels by the mean size of their numbers, the largest first. */
export function strongestFirst({ shape: [count], output }) {
  const each = output.length / count;
  const sums = new Float64Array(count);
  for (let index = 0; index < output.length; index++) sums[Math.floor(index / each)] += Math.abs(output[index]);
  return Array.from(sums.keys()).sort((one, other) => sums[other] - sums[one] || one - other);
}

const NEVER_NEGATIVE = new Set(["Relu", "Sigmoid", "Softmax"]);
const KEEPS_SIGN = new Set(["pooling", "reshape", "identity"]);

/** Whether a layer's numbers may be negative, whatever the image. */
export function isSigned(layer, byName) {
  if (layer.kind === "input" || NEVER_NEGATIVE.has(layer.op)) return false;
  if (layer.kind === "normalized") return (layer.options.steps ?? []).some(({ op }) => op === "Sub" || op === "Add");
  if (KEEPS_SIGN.has(layer.kind)) return isSigned(byName.get(layer.inputs[0]), byName);
  return true;
}

export function positionOf(layer, unit) {
  if (!isMaps(layer)) return { channel: unit };
  const [, height, width] = layer.shape;
  const cell = unit % (height * width);
  return { channel: Math.floor(unit / (height * width)), row: Math.floor(cell / width), column: cell % width };
}

export function unitAt(layer, { channel, row, column }) {
  if (!isMaps(layer)) return channel;
  const [, height, width] = layer.shape;
  return (channel * height + row) * width + column;
}

/** The field of one unit in every layer that it depends on, its own included: a Map by layer name. */
export function receptiveFields(layers, layer, unit) {
  const byName = new Map(layers.map((each) => [each.name, each]));
  const fields = new Map([[layer.name, fieldOf(layer, unit)]]);
  for (const each of layers.slice(0, layers.indexOf(layer) + 1).reverse()) {
    const field = fields.get(each.name);
    if (!field) continue;
    for (const name of each.inputs) {
      const source = byName.get(name);
      const before = fieldBefore(each, field, source);
      fields.set(name, fields.has(name) ? union(fields.get(name), before) : before);
    }
  }
  return fields;
}

function fieldOf(layer, unit) {
  const { channel, row, column } = positionOf(layer, unit);
  return isMaps(layer) ? box([channel, channel], [row, row], [column, column]) : { units: [unit, unit] };
}

const box = (channels, rows, columns) => ({ channels, rows, columns });

function everything(layer) {
  if (!isMaps(layer)) return { units: [0, sizeOf(layer) - 1] };
  const [channels, height, width] = layer.shape;
  return box([0, channels - 1], [0, height - 1], [0, width - 1]);
}

function fieldBefore(layer, field, source) {
  if (layer.kind === "convolution") return windowed(layer, field, source, channelsBefore(layer, field, source));
  if (layer.kind === "pooling" && layer.options.kernel) return windowed(layer, field, source, field.channels);
  if (layer.kind === "pooling") return { ...everything(source), channels: [field.units ?? field.channels][0] };
  if (layer.kind === "reshape" && isMaps(source) && !isMaps(layer)) return unflattened(field, source);
  const elementwise = !["dense", "softmax"].includes(layer.kind) && sizeOf(layer) === sizeOf(source);
  return elementwise && isMaps(layer) === isMaps(source) ? field : everything(source);
}

function channelsBefore(layer, field, source) {
  const groups = layer.options.group ?? 1;
  if (groups === 1) return [0, source.shape[0] - 1];
  const [into, outOf] = [source.shape[0] / groups, layer.shape[0] / groups];
  const [first, last] = field.channels.map((channel) => Math.floor(channel / outOf));
  return [first * into, (last + 1) * into - 1];
}

function windowed(layer, field, source, channels) {
  const { kernel, strides, pads, dilations } = layer.options;
  const side = ([first, last], axis) => {
    const start = first * strides[axis] - pads[axis];
    const end = last * strides[axis] - pads[axis] + (kernel[axis] - 1) * (dilations?.[axis] ?? 1);
    return [Math.max(0, start), Math.min(source.shape[axis + 1] - 1, end)];
  };
  return box(channels, side(field.rows, 0), side(field.columns, 1));
}

function unflattened({ units: [first, last] }, source) {
  return first === last ? fieldOf(source, first) : everything(source);
}

function union(one, other) {
  const hull = ([a, b], [c, d]) => [Math.min(a, c), Math.max(b, d)];
  return Object.fromEntries(Object.keys(one).map((key) => [key, hull(one[key], other[key])]));
}
