/** The API key of a server that wants one: asked for once, kept as long as the tab, shown nowhere. */

import { find } from "./dom.js";
import { t } from "./i18n.js";

const PLACE = "cifra.key";
let key = stored();
let asking = null;
let declined = false;

function stored() {
  try {
    return sessionStorage.getItem(PLACE) ?? "";
  } catch {
    return ""; // storage may be forbidden: then the key is gone with the page
  }
}

function keep(given) {
  key = given;
  try {
    sessionStorage.setItem(PLACE, given);
  } catch {
    // as above
  }
}

export const currentKey = () => key;

/** Whether there is another key to try; one dialog for all requests that were refused. */
export async function anotherKey() {
  if (declined) return false;
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

async function ask() {
  const [dialog, form, field] = [find("#key"), find("#key-form"), find("#key-field")];
  find("#key-refused").textContent = key ? t("key.refused") : "";
  field.value = "";
  dialog.showModal();
  const given = await new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      resolve(field.value.trim());
    };
    dialog.onclose = () => resolve("");
  });
  dialog.close();
  field.value = "";
  declined = !given;
  if (given) keep(given);
  return Boolean(given);
}
