/** A network as the server packs it: what it is as JSON, and behind that its weights. */

import { check, forward } from "./forward.js";

const MAGIC = "CIF1";
const HEAD = 8; // bytes before the JSON: MAGIC, then the JSON's length

export class BadModel extends Error {}

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

  probabilities(outputs) {
    return outputs.get(this.answer);
  }

  /** Whether the image looks like none of the classes; null where the network cannot tell. */
  doubts(outputs) {
    if (!this.novelty.length) return null;
    const found = forward(this.novelty, null, [], { before: this.layers, outputs: new Map(outputs) });
    return found.get(this.novelty.at(-1).name)[0] > 1;
  }
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
