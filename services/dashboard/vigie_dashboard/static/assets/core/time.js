// Ranges and time zones, as the address has them.
import { language, t } from "./i18n.js";
import { computed, signal } from "./ui.js";
import { param } from "./router.js";

export const PRESETS = /** @type {const} */ (["15m", "30m", "1h", "6h", "24h", "7d", "30d"]);
const UNITS = /** @type {Record<string, number>} */ ({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 });
const DEFAULT = "1h";

/** @typedef {{from: number, to: number, live: boolean, text: string}} Range */

/** A range as the address has it: `1h`, or `FROM..TO` in milliseconds.
 * @param {string | null} text @param {number} now @returns {Range} */
export function parseRange(text, now) {
  const fixed = /^(\d{12,14})\.\.(\d{12,14})$/.exec(text ?? "");
  if (fixed && Number(fixed[1]) < Number(fixed[2])) {
    return { from: Number(fixed[1]), to: Number(fixed[2]), live: false, text: fixed[0] };
  }
  const last = /^(\d{1,4})([smhd])$/.exec(text ?? "") ?? /^(1)(h)$/.exec(DEFAULT);
  const length = Number(last?.[1]) * UNITS[last?.[2] ?? "h"];
  return { from: now - length, to: now, live: true, text: last?.[0] ?? DEFAULT };
}

export const rangeText = computed(() => parseRange(param("range").value, 0).text);

/** Milliseconds of `10s`, `5m`; null for something else. @param {string} text */
export function duration(text) {
  const parts = /^(\d+(?:\.\d+)?)(ms|[smhdw])$/.exec(text.trim());
  if (!parts) return null;
  const unit = parts[2] === "ms" ? 1 : parts[2] === "w" ? 7 * UNITS.d : UNITS[parts[2]];
  return Number(parts[1]) * unit;
}

/** A step that gives at most `points` points, a multiple of 10 s as the store keeps them; seconds.
 * @param {number} lengthMs @param {number} [points] */
export function stepFor(lengthMs, points = 240) {
  const least = lengthMs / 1000 / points;
  const nice = [10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
  return nice.find((one) => one >= least) ?? 86400;
}

export const browserZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
/** @param {string | null} name */
function validZone(name) {
  try {
    return name && Intl.DateTimeFormat("en", { timeZone: name }) ? name : null;
  } catch {
    return null;
  }
}
export const zone = computed(() => validZone(param("tz").value) ?? browserZone);

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {Intl.DateTimeFormatOptions} options */
function formatOf(options) {
  const key = `${language.value} ${zone.value} ${JSON.stringify(options)}`;
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(language.value, { ...options, timeZone: zone.value })));
  return made;
}

/** @param {string | number | null | undefined} at */
const moment = (at) => (typeof at === "string" ? Date.parse(at) : (at ?? NaN));
const CLOCK = /** @type {Intl.DateTimeFormatOptions} */ ({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** 14:41. @param {string | number | null | undefined} at @param {boolean} [withSeconds] */
export function clock(at, withSeconds = false) {
  const ms = moment(at);
  if (Number.isNaN(ms)) return "–";
  return formatOf(withSeconds ? { ...CLOCK, second: "2-digit" } : CLOCK).format(ms);
}

/** 30 Nov 14:41, without the day when that is today, with the year when it is another. @param {string | number | null | undefined} at */
export function when(at) {
  const ms = moment(at);
  if (Number.isNaN(ms)) return "–";
  const year = formatOf({ year: "numeric" });
  const other = year.format(ms) !== year.format(Date.now());
  const day = formatOf({ day: "numeric", month: "short", ...(other ? { year: "numeric" } : {}) });
  return day.format(ms) === day.format(Date.now()) ? clock(ms) : `${day.format(ms)} ${clock(ms)}`;
}

/** Mon 30 Nov. @param {string | number | null | undefined} at */
export function day(at) {
  const ms = moment(at);
  return Number.isNaN(ms) ? "–" : formatOf({ weekday: "short", day: "numeric", month: "short" }).format(ms);
}

/** The whole of it, for who looks closely. @param {string | number | null | undefined} at */
export function exactly(at) {
  const ms = moment(at);
  if (Number.isNaN(ms)) return "–";
  return formatOf({ dateStyle: "medium", timeStyle: "medium" }).format(ms) + ` ${zone.value}`;
}

/** A range in words. @param {Range} range */
export function spoken(range) {
  if (!range.live) return `${when(range.from)} – ${when(range.to)}`;
  const known = /** @type {readonly string[]} */ (PRESETS).includes(range.text);
  return known ? t(`range.${range.text}`) : t("range.last", { length: range.text });
}

/** The time, changing every ten seconds while somebody looks: for "since". */
export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 10_000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) now.value = Date.now();
});
