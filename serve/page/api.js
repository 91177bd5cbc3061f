/** The server's answers. Every address is relative, so that the page works behind any prefix. */

import { anotherKey, currentKey } from "./key.js";

export class ServerError extends Error {
  /** kind: gone (no answer), missing (no such model), busy, large, locked (no key), refused */
  constructor(kind, detail = "") {
    super(detail || kind);
    this.kind = kind;
  }
}

const KINDS = { 401: "locked", 404: "missing", 413: "large", 429: "busy", 502: "gone", 503: "busy", 504: "busy" };

async function ask(address, options = {}) {
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

export async function modelNames() {
  return (await (await ask("v2/models")).json()).models;
}

export async function metadata(model) {
  return (await ask(`v2/models/${encodeURIComponent(model)}`)).json();
}

/** Everything between the pixels and the label, or only some `layers` of it; tensors become {shape, data}. */
export async function explain(model, { body, type }, { weights, ablate, layers }) {
  const query = new URLSearchParams({ model, weights: String(weights) });
  if (layers) query.set("layers", layers.join(","));
  if (ablate.length) query.set("ablate", ablate.map(({ layer, unit }) => `${layer}:${unit}`).join(","));
  const headers = { "content-type": type, accept: "application/octet-stream" };
  const response = await ask(`explain?${query}`, { method: "POST", headers, body });
  const length = Number(response.headers.get("inference-header-content-length"));
  return decoded(await response.arrayBuffer(), length);
}

function decoded(buffer, length) {
  const answer = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 0, length)));
  const tensor = ({ datatype, shape, offset, bytes }) => {
    const start = length + offset;
    const data =
      datatype === "UINT8" ? new Uint8Array(buffer, start, bytes) : new Float32Array(buffer, start, bytes / 4);
    return { shape, data };
  };
  answer.image = tensor(answer.image);
  for (const layer of answer.layers) {
    layer.output = tensor(layer.output).data;
    for (const role of Object.keys(layer.weights)) layer.weights[role] = tensor(layer.weights[role]);
  }
  return answer;
}

/** Probabilities of one prepared image, by the Open Inference Protocol. */
export async function infer(model, pixels, shape) {
  const tensor = {
    name: "image",
    datatype: "UINT8",
    shape: [1, ...shape],
    parameters: { binary_data_size: pixels.length },
  };
  const outputs = [{ name: "probabilities", parameters: { binary_data: true } }];
  const head = new TextEncoder().encode(JSON.stringify({ inputs: [tensor], outputs }));
  const response = await ask(`v2/models/${encodeURIComponent(model)}/infer`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream", "inference-header-content-length": String(head.length) },
    body: new Blob([head, pixels]),
  });
  const length = Number(response.headers.get("inference-header-content-length"));
  return new Float32Array((await response.arrayBuffer()).slice(length));
}

export async function samples() {
  return (await ask("samples")).json();
}

/** Pixels of test images, one Uint8Array each. */
export async function sampleImages(numbers, size) {
  const response = await ask(`samples/images?index=${numbers.join(",")}&size=${size}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const each = bytes.length / numbers.length;
  return numbers.map((_, position) => bytes.subarray(position * each, (position + 1) * each));
}

export async function strongest(model, layer) {
  return (await ask(`samples/strongest?${new URLSearchParams({ model, layer })}`)).json();
}

const AT_ONCE = 2; // so that a stroke need not wait for the whole way of the one before

/** Runs few jobs at once, and next always the newest: what came between is dropped. */
export class Latest {
  #run;
  #running = 0;
  #next = null;

  constructor(run) {
    this.#run = run;
  }

  async ask(input) {
    this.#next = { input };
    if (this.#running === AT_ONCE) return;
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
