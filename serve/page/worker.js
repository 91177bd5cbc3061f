/** The thread of the networks. */

import { Model } from "./model.js";

const models = new Map();

addEventListener("message", ({ data: { id, version, buffer, method, values } }) => {
  try {
    if (buffer) models.set(version, new Model(buffer));
    postMessage({ id, result: buffer ? null : models.get(version)[method](...values) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
});
