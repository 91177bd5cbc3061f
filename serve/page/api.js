/** Where networks and test images come from: a server, or a page written to disk that holds them.
 *
 * Every address is relative, so that the page works behind any prefix.
 */

import { isAlone, site } from "./home.js";
import { anotherKey, currentKey } from "./key.js";
import { resizedBytes } from "./resample.js";

const AT_ONCE = 64; // test images in one request

export class ServerError extends Error {
  /** kind: gone (no answer), missing (no such model), busy, large, locked (no key), integers (no such numbers here),
   * alone (there is no server), refused */
  constructor(kind, detail = "") {
    super(detail || kind);
    this.kind = kind;
  }
}

const KINDS = { 401: "locked", 404: "missing", 413: "large", 422: "integers", 429: "busy", 502: "gone", 503: "busy", 504: "busy" };

async function ask(address, options = {}) {
  if (isAlone) throw new ServerError("alone");
  const key = currentKey();
  const response = await sent(address, options, key);
  if (response.ok) return response;
  if (response.status === 401 && (key !== currentKey() || (await anotherKey()))) return ask(address, options);
  const detail = await response.json().then(
    (body) => String(body.error ?? ""),
    () => "",
  );
  throw new ServerError(KINDS[response.status] ?? "refused", detail);
}

async function sent(address, options, key) {
  const headers = { ...options.headers, ...(key && { authorization: `Bearer ${key}` }) };
  try {
    return await fetch(address, { ...options, headers, signal: AbortSignal.timeout(10000) });
  } catch (error) {
    throw new ServerError("gone", error.message);
  }
}

export const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

export async function modelNames() {
  return site ? Object.keys(site.models) : (await (await ask("v2/models")).json()).models;
}

export async function metadata(model) {
  return site ? site.models[model].about : (await ask(`v2/models/${encodeURIComponent(model)}`)).json();
}

/** The bytes of a network: a server sends each version once. */
export async function network(model, version) {
  if (site) return bytesOf(site.models[model].network).buffer;
  return (await ask(`networks/${encodeURIComponent(model)}/${version}`)).arrayBuffer();
}

/** Pixels [C, H, W] of a photograph, prepared by the server. */
export async function photograph(model, png) {
  const query = new URLSearchParams({ model, weights: "false", layers: "image" });
  const headers = { "content-type": "image/png", accept: "application/octet-stream" };
  const response = await ask(`explain?${query}`, { method: "POST", headers, body: png });
  const length = Number(response.headers.get("inference-header-content-length"));
  const buffer = await response.arrayBuffer();
  const { image } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 0, length)));
  return new Uint8Array(buffer, length + image.offset, image.bytes);
}

export async function samples() {
  if (site && !site.facts) throw new ServerError("missing");
  return site ? site.facts : (await ask("samples")).json();
}

/** Pixels of test images, one Uint8Array each. */
export async function sampleImages(numbers, size) {
  if (site) return Promise.all(numbers.map(async (number) => resizedBytes(await imageOnDisk(number), size, site.planes)));
  const parts = [];
  for (let start = 0; start < numbers.length; start += AT_ONCE)
    parts.push(...(await someImages(numbers.slice(start, start + AT_ONCE), size)));
  return parts;
}

async function someImages(numbers, size) {
  const response = await ask(`samples/images?index=${numbers.join(",")}&size=${size}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const each = bytes.length / numbers.length;
  return numbers.map((_, position) => bytes.subarray(position * each, (position + 1) * each));
}

let unpacked = null;

async function imageOnDisk(number) {
  if (!(number < site.facts?.labels.length)) throw new ServerError("missing");
  unpacked ??= inflated(bytesOf(site.images));
  const images = await unpacked;
  const each = images.length / site.facts.labels.length;
  return images.subarray(number * each, (number + 1) * each);
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Runs as many jobs at once as `atOnce()` says, and next always the newest: what came between is dropped. */
export class Latest {
  #run;
  #atOnce;
  #running = 0;
  #next = null;

  constructor(run, atOnce) {
    this.#run = run;
    this.#atOnce = atOnce;
  }

  async ask(input) {
    this.#next = { input };
    if (this.#running >= this.#atOnce()) return;
    this.#running++;
    try {
      while (this.#next) {
        const { input: newest } = this.#next;
        this.#next = null;
        await this.#run(newest);
      }
    } finally {
      this.#running--;
    }
  }
}
