// Words and numbers in the reader's language. A language is one file of `lang`.
import { computed, signal } from "./ui.js";

export const LANGUAGES = /** @type {const} */ ({ en: "English", fr: "Français" });
const KEPT = "vigie.language";

/** @type {Record<string, () => Promise<{default: Record<string, string>}>>} */
const FILES = { en: () => import("../lang/en.js"), fr: () => import("../lang/fr.js") };

export const language = signal("en");
/** @type {import("../vendor/signals.mjs").Signal<Record<string, string>>} */
const words = signal({});
const plurals = computed(() => new Intl.PluralRules(language.value));

/** The language that the reader chose, else the browser's if there is a file of it. */
function preferred() {
  const asked = [localStorage.getItem(KEPT), ...navigator.languages].map((one) => (one ?? "").slice(0, 2));
  return asked.find((one) => one in FILES) ?? "en";
}

/** Load the words before anything is shown. */
export async function startLanguage() {
  await speak(preferred(), false);
}

/** Change the language, and remember it. @param {string} code @param {boolean} [keep] */
export async function speak(code, keep = true) {
  const file = await FILES[code]();
  if (keep) localStorage.setItem(KEPT, code);
  words.value = file.default;
  language.value = code;
  document.documentElement.lang = code;
}

/**
 * The text of a key, with `{name}` filled in. With a number `count` the key's `.one` or `.other` is taken.
 * @param {string} key @param {Record<string, string | number>} [values] @returns {string}
 */
export function t(key, values = {}) {
  const known = words.value;
  const counted = typeof values.count === "number" ? `${key}.${plurals.value.select(values.count)}` : key;
  const text = known[counted] ?? known[`${key}.other`] ?? known[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}

/** @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/** @param {Intl.NumberFormatOptions} options */
function formatOf(options) {
  const key = language.value + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.NumberFormat(language.value, options)));
  return made;
}

/** A number as people read it: three digits that matter, or as many as `digits` says. A dash when there is none.
 * @param {number | null | undefined} value @param {number} [digits] */
export function number(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const fixed = digits ?? (Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.01 || size === 0 ? 2 : 4);
  return formatOf({ maximumFractionDigits: fixed, minimumFractionDigits: digits === undefined ? 0 : fixed }).format(value);
}

/** A large number in short: 12.9k. @param {number | null | undefined} value */
export function compact(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return formatOf({ notation: "compact", maximumFractionDigits: 1 }).format(value);
}

/** @param {number | null | undefined} seconds */
export function seconds(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${number(seconds * 1e6, 0)} µs`;
  if (seconds < 1) return `${number(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms`;
  return `${number(seconds, seconds < 10 ? 2 : 1)} s`;
}

/** How long something has lasted, in the one or two units that matter. @param {number} ms */
export function lasting(ms) {
  const total = Math.max(0, Math.round(ms / 1000));
  const [d, h, m, s] = [Math.floor(total / 86400), Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60];
  if (d) return h ? `${d} ${t("unit.day")} ${h} h` : `${d} ${t("unit.day")}`;
  if (h) return m ? `${h} h ${m} min` : `${h} h`;
  return m ? `${m} min` : `${s} s`;
}

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let at = 0;
  let size = value;
  while (Math.abs(size) >= 1000 && at < units.length - 1) [size, at] = [size / 1000, at + 1];
  return `${number(size, at && size < 100 ? 1 : 0)} ${units[at]}`;
}
