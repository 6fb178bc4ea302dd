// Light, dark, or as the system has it.
import { signal } from "./ui.js";

const KEPT = "vigie.theme";
export const THEMES = /** @type {const} */ (["system", "light", "dark"]);
export const theme = signal(localStorage.getItem(KEPT) ?? "system");
/** Grows whenever colours change: for what draws them itself. */
export const painted = signal(0);

/** @param {string} next */
export function choose(next) {
  theme.value = next;
  if (next === "system") localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, next);
  apply();
}

function apply() {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  painted.value += 1;
}

/** The value of a colour of the design sheet now. @param {string} name */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (painted.value += 1));
apply();
