/** Buttons and keys of the whole page. */

import { find, findAll } from "./dom.js";
import { watchForPictures } from "./upload.js";

export function listenToControls(page) {
  const { pad, columns, panel, drawing } = page;
  const on = (selector, event, work) => find(selector).addEventListener(event, work);
  const undo = () => pad.change(() => drawing.undo());
  const redo = () => pad.change(() => drawing.redo());
  on("#undo", "click", undo);
  on("#redo", "click", redo);
  on("#clear", "click", () => pad.clear());
  on("#eraser", "click", () => toggleEraser(pad));
  on("#brush", "input", (event) => (pad.brush = event.target.valueAsNumber / 100));
  on("#off-undo", "click", () => page.switchAllOn());
  for (const choice of findAll("[name=range]"))
    choice.addEventListener("change", () => columns.usePerMap(choice.value === "map"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panel.isOpen && !find("dialog[open]")) panel.close();
    const work = { undo, redo }[wantedBy(event)];
    if (!work) return;
    event.preventDefault();
    work();
  });
  foldMenu(find("#menu"));
  watchForPictures((file) => page.openPicture(file));
  addEventListener("hashchange", () => page.openLink());
}

/** Open until something in it or beside it is pressed, but for what one may want to press again. */
function foldMenu(button) {
  const open = (isOpen) => button.setAttribute("aria-expanded", isOpen);
  document.addEventListener("click", ({ target }) => {
    if (button.contains(target)) return open(button.getAttribute("aria-expanded") === "false");
    if (!target.closest?.("#size, #theme, [data-language]")) open(false);
  });
  document.addEventListener("keydown", ({ key }) => key === "Escape" && open(false));
}

function toggleEraser(pad) {
  pad.erasing = !pad.erasing;
  find("#eraser").setAttribute("aria-pressed", pad.erasing);
}

function wantedBy({ key, ctrlKey, metaKey, shiftKey, target }) {
  const typing = target.closest?.("input:not([type=range]):not([type=radio]):not([type=checkbox]), textarea");
  if (!(ctrlKey || metaKey) || typing) return null;
  const letter = key.toLowerCase();
  if (letter === "y" || (letter === "z" && shiftKey)) return "redo";
  return letter === "z" ? "undo" : null;
}
