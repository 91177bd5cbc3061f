/** Runs networks: in a thread of their own, or, where the page was opened from disk and gets none, here. */

import { isAlone } from "./home.js";
import { Model } from "./model.js";

const here = new Map(); // models by version
const waiting = new Map(); // by the number of a request
const worker = isAlone ? null : new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
let asked = 0;

worker?.addEventListener("message", ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  error ? reject(new Error(error)) : resolve(result);
});

function send(message) {
  const id = ++asked;
  worker.postMessage({ id, ...message });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

/** The network of these bytes, for its layers and weights; from now on it can be run. */
export async function opened(buffer) {
  const model = new Model(buffer);
  if (worker) await send({ version: model.version, buffer });
  else here.set(model.version, model);
  return model;
}

/** What a method of Model returns. */
export async function run(version, method, ...values) {
  return worker ? send({ version, method, values }) : here.get(version)[method](...values);
}
