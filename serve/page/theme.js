// Runs before the page is painted: the chosen theme and size, so that nothing flashes.
(() => {
  const read = (key) => {
    try {
      return localStorage.getItem(`cifra.${key}`);
    } catch {
      return null;
    }
  };
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = read("theme") ?? (dark ? "dark" : "light");
  document.documentElement.dataset.size = read("size") ?? "normal";
  const isNewEnough = "findLastIndex" in Array.prototype && CSS.supports("selector(:has(a))"); // browsers since 2023
  document.documentElement.classList.toggle("old", !isNewEnough);
})();
