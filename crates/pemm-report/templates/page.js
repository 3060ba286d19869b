"use strict";
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  label();
  dark.addEventListener("change", label);
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });

  // The browser's own tooltips come late and not on touch: each title becomes ours.
  const tip = document.getElementById("tip"), tips = new WeakMap();
  for (const title of document.querySelectorAll("svg.chart title")) {
    tips.set(title.parentNode, title.textContent);
    title.remove();
  }
  document.addEventListener("pointerover", event => {
    const text = tips.get(event.target);
    tip.hidden = !text;
    if (text) tip.textContent = text;
  });
  document.addEventListener("pointermove", event => {
    if (tip.hidden) return;
    const right = event.clientX + 16 + tip.offsetWidth > innerWidth;
    const low = event.clientY + 16 + tip.offsetHeight > innerHeight;
    tip.style.left = Math.max(4, right ? event.clientX - 12 - tip.offsetWidth : event.clientX + 16) + "px";
    tip.style.top = Math.max(4, low ? event.clientY - 12 - tip.offsetHeight : event.clientY + 16) + "px";
  });
})();
