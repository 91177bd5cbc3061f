/** What a network takes the test images of each class for: a table, each number of which leads to its images. */

import { swatch } from "./colours.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";

const MOST = 20; // classes, beyond which a table is no longer read

/** null for too many classes; press(label, predicted) is told what was pressed. */
export function confusionOf({ classes, labels }, { predicted }, name, press) {
  if (classes.length > MOST) return null;
  const counts = classes.map(() => classes.map(() => 0));
  predicted.forEach((each, number) => counts[labels[number]][each]++);
  const worst = Math.max(1, ...counts.flatMap((row, label) => row.filter((_, each) => each !== label)));
  const cell = (count, label, each) => {
    if (!count) return h("td", {}, "");
    const words = t("confusion.cell", { count, label: classes[label], predicted: classes[each] });
    const button = h("button", { type: "button", "aria-label": words, title: words }, String(count));
    button.addEventListener("click", () => press(label, each));
    const found = h("td", { className: label === each ? "right" : "" }, button);
    if (label !== each) {
      const { background, text } = swatch(count, worst);
      button.style.background = background;
      button.style.color = text;
    }
    return found;
  };
  const header = (text) => h("th", { scope: "col" }, text);
  const row = (line, label) =>
    h("tr", {}, h("th", { scope: "row" }, classes[label]), ...line.map((count, each) => cell(count, label, each)));
  return h(
    "table",
    { className: "confusion" },
    h("caption", {}, t("confusion.caption", { name })),
    h("thead", {}, h("tr", {}, h("td", {}), ...classes.map(header))),
    h("tbody", {}, ...counts.map(row)),
  );
}
