/** An element with properties and children: `h("p", {className: "note"}, "text", h("b", {}, "bold"))`. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that looks like a link. */
export function link(text, press) {
  const button = h("button", { type: "button", className: "link" }, text);
  button.addEventListener("click", press);
  return button;
}

export const find = (selector, within = document) => within.querySelector(selector);
export const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Puts a text where it is not yet: an unchanged one must not lay the page out anew. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Calls `work` at most once per frame, with the newest argument. */
export function oncePerFrame(work) {
  let waiting = false;
  let newest;
  return (argument) => {
    newest = argument;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work(newest);
    });
  };
}

/** A canvas's context, its size in CSS pixels set, sharp on any screen. */
export function sharp(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

export function saveFile(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

export const remembered = {
  get(key) {
    try {
      return localStorage.getItem(`cifra.${key}`);
    } catch {
      return null; // storage may be forbidden: then nothing is remembered
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`cifra.${key}`, value);
      return true;
    } catch {
      return false; // as above, or it is full
    }
  },
};
