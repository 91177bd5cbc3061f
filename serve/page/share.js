/** What leaves the page: links, files, and commands that ask the same question. */

import { find, findAll, saveFile } from "./dom.js";
import { t } from "./i18n.js";
import { currentKey } from "./key.js";
import { greyPng } from "./png.js";

const KEY_HEADER = '--header "Authorization: Bearer $CIFRA_API_KEY" ';

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** Every layer's output of an answer, with what it is. */
export function activations({ model, version, network, classes, label, probabilities, image, layers }) {
  const plain = (layer) => ({
    name: layer.name,
    kind: layer.kind,
    shape: layer.shape,
    options: layer.options,
    output: Array.from(layer.output),
  });
  return {
    model,
    version,
    network,
    classes,
    label,
    probabilities,
    image: { shape: image.shape, data: Array.from(image.data) },
    layers: layers.map(plain),
  };
}

function saveActivations(answer) {
  saveFile(`${answer.model}-${answer.label}.json`, "application/json", JSON.stringify(activations(answer)));
}

function savePicture(canvas) {
  canvas.toBlob((blob) => saveFile("cifra.png", "image/png", blob));
}

/** The image as the network saw it, as a PNG in base64. */
function imageOf(answer) {
  const [, height, width] = answer.image.shape;
  return base64(greyPng(answer.image.data.subarray(0, width * height), width, height));
}

const address = (answer) => new URL(`predict?model=${encodeURIComponent(answer.model)}`, document.baseURI).href;

// A key is named, never shown.

const curl = (answer) => `echo ${imageOf(answer)} |
  base64 -d |
  curl --data-binary @- --header 'Content-Type: image/png' ${currentKey() && KEY_HEADER}'${address(answer)}'`;

const python = (answer) => `import base64, json, ${currentKey() && "os, "}urllib.request

png = base64.b64decode("${imageOf(answer)}")
headers = {"Content-Type": "image/png"${currentKey() && ', "Authorization": "Bearer " + os.environ["CIFRA_API_KEY"]'}}
request = urllib.request.Request("${address(answer)}", data=png, headers=headers)
with urllib.request.urlopen(request) as response:
    print(json.load(response)["predictions"][0])`;

/** The dialog of all that can be taken away. answer() is null without a drawing: then nothing() is done. */
export function offerToShare({ canvas, link, answer, nothing }) {
  const on = (name, work) => find(`#share-${name}`).addEventListener("click", work);
  const withAnswer = (work) => () => (answer() ? work(answer()) : nothing());
  on("open", () => find("#share").showModal());
  on("link", () => offerToCopy(t("share.link.title"), link()));
  on("png", () => savePicture(canvas));
  on("json", withAnswer(saveActivations));
  on(
    "curl",
    withAnswer((found) => offerToCopy("curl", curl(found))),
  );
  on(
    "python",
    withAnswer((found) => offerToCopy("Python", python(found))),
  );
}

let copy = null;

export function offerToCopy(title, text) {
  copy ??= new CopyDialog();
  copy.open(title, text);
}

/** The dialog with something to copy: shows it, copies it on demand, and says so. */
class CopyDialog {
  constructor() {
    this.dialog = find("#copy");
    this.text = find("#copy-text");
    find("#copy-do").addEventListener("click", () => this.#copy());
  }

  open(title, text) {
    find("#copy-title").textContent = title;
    find("#copy-done").textContent = "";
    this.text.value = text;
    this.dialog.showModal();
    this.text.select();
  }

  async #copy() {
    this.text.select();
    try {
      await navigator.clipboard.writeText(this.text.value);
    } catch {
      document.execCommand("copy"); // where the clipboard is not open to pages: plain http on another host
    }
    find("#copy-done").textContent = t("share.copied");
  }
}

/** Every dialog closes by its own buttons and by a press beside it. */
export function tameDialogs() {
  for (const dialog of findAll("dialog")) {
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    for (const button of findAll("[data-close]", dialog)) button.addEventListener("click", () => dialog.close());
  }
}
