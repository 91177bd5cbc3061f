/** Language, theme and size of type: chosen, shown as chosen, and remembered. */

import { useTheme } from "./colours.js";
import { find, findAll, remembered } from "./dom.js";
import { useLanguage } from "./i18n.js";

const { dataset } = document.documentElement;

/** `changed` has what to do after each change: {language(), theme(), size()}. */
export function listenToSettings(changed) {
  for (const button of findAll("[data-language]")) {
    button.addEventListener("click", () => chooseLanguage(button.dataset.language).then(changed.language));
  }
  find("#theme").addEventListener("click", () => {
    remember("theme", dataset.theme === "dark" ? "light" : "dark");
    changed.theme();
  });
  find("#size").addEventListener("click", () => {
    remember("size", dataset.size === "large" ? "normal" : "large");
    changed.size();
  });
  paper(changed);
  show();
}

/** On paper everything is light, and as chosen again afterwards. */
function paper(changed) {
  const wear = (theme) => {
    dataset.theme = theme;
    useTheme(theme);
    changed.theme();
  };
  let chosen = "";
  addEventListener("beforeprint", () => {
    chosen = dataset.theme;
    if (chosen === "dark") wear("light");
  });
  addEventListener("afterprint", () => chosen === "dark" && wear("dark"));
}

async function chooseLanguage(name) {
  remembered.set("language", name);
  await useLanguage(name);
  show();
}

function remember(setting, value) {
  dataset[setting] = value;
  remembered.set(setting, value);
  show();
}

function show() {
  useTheme(dataset.theme);
  find("#size").setAttribute("aria-pressed", dataset.size === "large");
  for (const button of findAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === document.documentElement.lang);
  }
}
