/** Pictures from files, the clipboard and drops, made small enough to send. */

import { find } from "./dom.js";

const MOST_BYTES = 30e6;
const MOST_PIXELS = 60e6;
const SIDE = 1000; // the longer side of what is sent

/** A base for the drawing. Throws "large" or "unreadable". */
export async function pictureOf(file) {
  if (file.size > MOST_BYTES) throw new Error("large");
  const whole = await createImageBitmap(file).catch(() => {
    throw new Error("unreadable");
  });
  if (whole.width * whole.height > MOST_PIXELS) throw new Error("large");
  const scale = Math.min(1, SIDE / Math.max(whole.width, whole.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(whole.width * scale));
  canvas.height = Math.max(1, Math.round(whole.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const blob = await new Promise((resolve) => canvas.toBlob(resolve));
  return {
    kind: "picture",
    bitmap: canvas,
    png: new Uint8Array(await blob.arrayBuffer()),
    dark: isDark(canvas, context),
  };
}

/** Whether the picture's edge, its paper, is dark. */
function isDark({ width, height }, context) {
  const { data } = context.getImageData(0, 0, width, height);
  let [light, count] = [0, 0];
  for (let y = 0; y < height; y++) {
    const step = y === 0 || y === height - 1 ? 1 : Math.max(1, width - 1);
    for (let x = 0; x < width; x += step) {
      const at = (y * width + x) * 4;
      light += data[at + 3] < 128 ? 255 : (data[at] + data[at + 1] + data[at + 2]) / 3;
      count++;
    }
  }
  return light / count < 128;
}

export function watchForPictures(open) {
  const field = find("#upload");
  find("#upload-open").addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    if (field.files[0]) open(field.files[0]);
    field.value = "";
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (file) open(file);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) open(file);
  });
}
