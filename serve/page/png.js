/** A grey 8-bit PNG written by hand: at once, with the same bytes in every browser. */

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

export function greyPng(pixels, width, height) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 0, 0, 0, 0], 8); // 8 bits, grey, nothing special
  const signature = [0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10];
  const data = stored(filtered(pixels, width, height));
  return joined([
    Uint8Array.from(signature),
    chunk("IHDR", header),
    chunk("IDAT", data),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** Each row after a 0: not filtered. */
function filtered(pixels, width, height) {
  const rows = new Uint8Array((width + 1) * height);
  for (let row = 0; row < height; row++)
    rows.set(pixels.subarray(row * width, (row + 1) * width), row * (width + 1) + 1);
  return rows;
}

/** zlib without compression: what loopback is for. */
function stored(data) {
  const parts = [Uint8Array.of(0x78, 0x01)];
  for (let start = 0; start < data.length; start += 65535) {
    const block = data.subarray(start, start + 65535);
    const last = start + 65535 >= data.length ? 1 : 0;
    const size = block.length;
    parts.push(Uint8Array.of(last, size & 255, size >> 8, ~size & 255, (~size >> 8) & 255), block);
  }
  return joined([...parts, bigEndian(adler(data))]);
}

function adler(data) {
  let a = 1;
  let b = 0;
  for (let start = 0; start < data.length; start += 3800) {
    for (const byte of data.subarray(start, start + 3800)) {
      a += byte;
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}

function chunk(name, data) {
  const body = joined([new TextEncoder().encode(name), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return joined([bigEndian(data.length), body, bigEndian(~crc >>> 0)]);
}

function bigEndian(value) {
  return Uint8Array.of(value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
