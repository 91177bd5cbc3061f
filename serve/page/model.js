/** A network as the server packs it: what it is as JSON, and behind that its weights. */

import { check, forward } from "./forward.js";

const MAGIC = "CIF1";
const HEAD = 8; // bytes before the JSON: MAGIC, then the JSON's length

export class BadModel extends Error {
  kind = "version";
}

export class Model {
  /** From the bytes of /networks. Throws BadModel for a file of another version, UnknownOperator. */
  constructor(buffer) {
    const bytes = new Uint8Array(buffer);
    if (String.fromCharCode(...bytes.subarray(0, 4)) !== MAGIC) throw new BadModel("of another version");
    const length = new DataView(buffer).getUint32(4, true);
    Object.assign(this, JSON.parse(new TextDecoder().decode(bytes.subarray(HEAD, HEAD + length))));
    for (const layer of [...this.layers, ...this.novelty])
      for (const [role, tensor] of Object.entries(layer.weights))
        layer.weights[role] = { shape: tensor.shape, data: numbers(buffer, HEAD + length + tensor.offset, tensor) };
    check([...this.layers.slice(1), ...this.novelty]);
  }

  /** Every layer's output, by name, for pixels [C, H, W]. */
  outputs(image, ablated = []) {
    return forward(this.layers, image, ablated);
  }

  /** All there is to know of an image: outputs in the order of the layers, and the probabilities if nothing were off. */
  explained(image, ablated) {
    const start = performance.now();
    const outputs = this.outputs(image, ablated);
    const milliseconds = performance.now() - start;
    const plain = ablated.length ? this.outputs(image) : outputs;
    const untouched = ablated.length ? plain.get(this.answer) : null;
    return { outputs: [...outputs.values()], untouched, doubt: this.doubts(plain), milliseconds };
  }

  /** The largest number of each map or unit, layer after layer, and the numbers of the last hidden layer. */
  peaks(image) {
    const outputs = this.outputs(image);
    const found = this.layers.map((layer) => largestOf(layer, outputs.get(layer.name)));
    return { peaks: found, features: outputs.get(this.hidden) };
  }

  /** By how much the log-odds of a class fall when the ink of 3×3 pixels is taken away, around each of these pixels. */
  reasons(image, places, index) {
    const whole = this.#logOdds(image, index);
    return Float32Array.from(places, (place) => whole - this.#logOdds(without(image, place, this.shape), index));
  }

  #logOdds(image, index) {
    const answer = this.layers.find(({ name }) => name === this.answer);
    const logits = [...this.outputs(image).get(answer.inputs[0])];
    const others = logits.filter((_, at) => at !== index);
    const most = Math.max(...others);
    return logits[index] - most - Math.log(others.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
  }

  /** The name of the layer that the classes are read from. */
  get hidden() {
    const dense = this.layers.filter(({ kind }) => kind === "dense").at(-1);
    return (dense ?? this.layers[1]).inputs[0];
  }

  /** Whether the image looks like none of the classes; null where the network cannot tell. */
  doubts(outputs) {
    if (!this.novelty.length) return null;
    const found = forward(this.novelty, null, [], { before: this.layers, outputs: new Map(outputs) });
    return found.get(this.novelty.at(-1).name)[0] > 1;
  }
}

function without(image, place, [, height, width]) {
  const [row, column] = [Math.floor(place / width), place % width];
  return image.map((value, at) => {
    const [y, x] = [Math.floor(at / width) % height, at % width];
    return Math.abs(y - row) <= 1 && Math.abs(x - column) <= 1 ? 0 : value;
  });
}

function largestOf({ shape }, output) {
  const each = output.length / shape[0];
  const most = (unit) => output.subarray(unit * each, (unit + 1) * each).reduce((one, other) => Math.max(one, other));
  return Float32Array.from({ length: shape[0] }, (_, unit) => most(unit));
}

function numbers(buffer, at, { datatype, shape }) {
  const count = shape.reduce((product, side) => product * side, 1);
  if (datatype === "FP32") return new Float32Array(buffer, at, count);
  return Float32Array.from(new Uint16Array(buffer, at, count), halved);
}

/** A number from its 16 bits. */
function halved(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}
