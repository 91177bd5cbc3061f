/** Pillow's arithmetic, number for number: bilinear resizing of floats, and the blur of bytes. */

/** An image is {data, height, width}. Shrinking averages over all pixels that fall into one. */
export function resized({ data, height, width }, [rows, columns]) {
  const floats = Float32Array.from(data);
  const wide = columns === width ? floats : alongRows(floats, height, width, columns);
  if (rows === height) return { data: wide, height: rows, width: columns };
  const tall = alongRows(transposed(wide, height, columns), columns, height, rows);
  return { data: transposed(tall, columns, rows), height: rows, width: columns };
}

/** Square planes of bytes at another size, to the same bytes as Pillow makes of them. */
export function resizedBytes(data, size, planes = 1) {
  const before = Math.sqrt(data.length / planes);
  if (before === size) return data;
  const wide = alongRows(data, planes * before, before, size);
  const found = new Uint8Array(planes * size * size);
  for (let plane = 0; plane < planes; plane++) {
    const part = wide.subarray(plane * before * size, (plane + 1) * before * size);
    const tall = alongRows(transposed(part, before, size), size, before, size);
    found.set(transposed(tall, size, size), plane * size * size);
  }
  return found;
}

const UNIT = 2 ** 22; // of a weight where bytes are resized, in whole numbers

/** Of the same kind as `data`. */
function alongRows(data, height, width, columns) {
  const scale = width / columns;
  const reach = Math.max(scale, 1); // of the triangle that weighs the pixels
  const isBytes = data instanceof Uint8Array;
  const found = new data.constructor(height * columns);
  for (let x = 0; x < columns; x++) {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(width, Math.trunc(centre + reach + 0.5));
    const shares = [];
    for (let at = first; at < end; at++) shares.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) / reach)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const exact = shares.map((share) => share * (1 / total));
    const weights = isBytes ? exact.map((share) => Math.trunc(0.5 + share * UNIT)) : exact;
    for (let y = 0; y < height; y++) {
      let sum = isBytes ? UNIT / 2 : 0;
      for (let index = 0; index < weights.length; index++) sum += data[y * width + first + index] * weights[index];
      found[y * columns + x] = isBytes ? Math.floor(sum / UNIT) : sum;
    }
  }
  return found;
}

function transposed(data, height, width) {
  const found = new data.constructor(data.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) found[x * height + y] = data[y * width + x];
  return found;
}

const PASSES = 3; // of a box blur, which together are nearly Gaussian (Gwosdek et al., 2011)

export function blurred({ data, height, width }, deviation) {
  const variance = (deviation * deviation) / PASSES;
  const whole = Math.floor((Math.sqrt(12 * variance + 1) - 1) / 2);
  const rest = ((2 * whole + 1) * (whole * (whole + 1) - 3 * variance)) / (6 * (variance - (whole + 1) * (whole + 1)));
  const radius = Math.fround(whole + rest);
  const across = boxed(data, height, width, radius);
  return { data: transposed(boxed(transposed(across, height, width), width, height, radius), width, height), height, width };
}

function boxed(data, height, width, radius) {
  const reach = Math.trunc(radius);
  const share = Math.trunc(2 ** 24 / (radius * 2 + 1));
  const outer = Math.trunc((2 ** 24 - (reach * 2 + 1) * share) / 2);
  let found = data;
  for (let pass = 0; pass < PASSES; pass++) {
    const next = new Uint8Array(data.length);
    for (let y = 0; y < height; y++) {
      const at = (x) => found[y * width + Math.max(0, Math.min(width - 1, x))];
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let beside = -reach; beside <= reach; beside++) sum += at(x + beside);
        const total = sum * share + (at(x - reach - 1) + at(x + reach + 1)) * outer;
        next[y * width + x] = Math.floor((total + 2 ** 23) / 2 ** 24);
      }
    }
    found = next;
  }
  return found;
}
