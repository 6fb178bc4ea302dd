// What is known of hosts and sites, as the page shows it: lines of their history, states, forms.
import { get } from "../../core/api.js";

/** @typedef {import("../../components/chart.js").Point} Point */
/** @typedef {{warning: number, critical: number}} Threshold */
/** @typedef {"ok" | "warn" | "bad" | "none"} Tone */

const HOUR = 3_600_000;
const MAX_HOURS = 9_600;
/** Points of one answer. */
const POINTS = 200;
/** Times of the usual distance between reports after which a line is broken. */
const GAP = 3;
/** How often is asked beside what is told live, in seconds. */
export const REFRESH = [5, 10, 30, 60];
const REFRESH_DEFAULT = 30;
/** Of so many rows of a list each is told live: one connection has at most 100 subscriptions. */
export const LIVE_ROWS = 40;
/** What is told live can be read so much later. */
export const STORED_MS = 2_500;
/** The alerts of the replaced supervision. */
export const SUPERVISED = new Set(["cpu_high", "memory_high", "disk_high", "service_down", "site_down"]);

/** @param {string | null} text of the address */
export function refreshOf(text) {
  const asked = Number(text);
  return REFRESH.includes(asked) ? asked : REFRESH_DEFAULT;
}

/** How a range is asked for: the API counts back from now.
 * @param {import("../../core/time.js").Range} range @param {number} now */
export function asked(range, now) {
  const length = range.live ? range.to - range.from : now - range.from;
  return { hours: Math.min(MAX_HOURS, Math.max(0.01, length / HOUR)), points: POINTS };
}

/** @param {string} path @param {import("../../core/time.js").Range} range @param {Record<string, string>} params @param {AbortSignal} stop */
export const history = (path, range, params, stop) => get(path, { ...params, ...asked(range, Date.now()) }, stop);

/** One number over time, broken where nothing was reported for long.
 * @param {any[]} points @param {(point: any) => number | null | undefined} pick @returns {Point[]} */
export function line(points, pick) {
  const at = points.map((one) => Date.parse(one.timestamp));
  const steps = at.slice(1).map((one, n) => one - at[n]).sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  /** @type {Point[]} */
  const made = [];
  points.forEach((one, n) => {
    if (n && at[n] - at[n - 1] > GAP * usual) made.push([at[n - 1] + usual, null]);
    made.push([at[n], pick(one) ?? null]);
  });
  return made;
}

/** A total that grows, as so much per second; nothing where it began anew. @param {Point[]} points @returns {Point[]} */
export function perSecond(points) {
  return points.map(([at, value], n) => {
    const [before, then] = points[n - 1] ?? [at, null];
    const known = value !== null && then !== null && value >= then && at > before;
    return [at, known ? ((value - then) / (at - before)) * 1_000 : null];
  });
}

/** @param {Point[]} points */
export const last = (points) => points.findLast((one) => one[1] !== null)?.[1] ?? null;

/** @param {number | null | undefined} value @param {Threshold | undefined} limits @returns {"" | "warn" | "bad"} */
export function tone(value, limits) {
  if (value === null || value === undefined || !limits) return "";
  return value >= limits.critical ? "bad" : value >= limits.warning ? "warn" : "";
}

/** What was read, with what was told since laid over it. Whether it is silent only the server says: clocks differ.
 * @template T @param {T & {timestamp: string | null, stale?: boolean}} read @param {any} told @returns {any} */
export function newest(read, told) {
  const since = told ? Date.parse(told.timestamp) - (read.timestamp ? Date.parse(read.timestamp) : 0) : NaN;
  if (!(since >= 0)) return read;
  return { ...read, ...told, stale: since === 0 && read.stale };
}

/** How full the fullest part of a host is. @param {any} host */
const load = (host) => Math.max(...["cpu", "memory", "disk"].map((part) => host[part]?.percent ?? 0));

/** Silent ones first, then the busiest. @param {any} a @param {any} b */
export const worstFirst = (a, b) => Number(b.stale) - Number(a.stale) || load(b) - load(a) || a.host.localeCompare(b.host);

/** How a site is, and the tone of that. @param {any} site @returns {[string, Tone]} */
export function stateOf({ timestamp, stale, services }) {
  if (!timestamp) return ["unseen", "none"];
  if (stale) return ["silent", "bad"];
  if (services.failed) return ["failed", "bad"];
  if (!services.total) return ["empty", "none"];
  if (!services.running) return ["stopped", "bad"];
  return services.stopped ? ["partly", "warn"] : ["running", "ok"];
}

/** The tone of a state of systemd. @param {string} state @returns {Tone} */
export const toneOfService = (state) => /** @type {Record<string, Tone>} */ ({ active: "ok", failed: "bad", inactive: "warn", unknown: "none" })[state] ?? "warn";

/** What makes sense for a service in a state. @param {string} state */
export const actionsOn = (state) => (state === "active" || state === "reloading" ? ["restart", "stop"] : state === "unknown" ? ["start", "restart", "stop"] : ["start"]);

/** Ids in the address, as many as may be open at once. @param {string | null} text */
export const opened = (text) => (text ?? "").split(",").filter(Boolean).slice(0, 8);

/** @param {string[]} open @param {string} id */
export const turned = (open, id) => (open.includes(id) ? open.filter((one) => one !== id) : [...open.slice(-7), id]);

/** @param {{from: number, to: number}[]} ports */
export const portsText = (ports) => ports.map((one) => (one.from === one.to ? `${one.from}` : `${one.from}-${one.to}`));

const MB = 1_000_000;
/** A site as a form has it. @param {any} site */
export const typedSite = (site) => ({
  id: site?.id ?? "", host: site?.host ?? "", name: site?.name ?? "", account: site?.account ?? "", directory: site?.directory ?? "",
  ports: portsText(site?.ports ?? []).join("\n"), domains: (site?.domains ?? []).join("\n"),
  memory: site?.limits.memoryBytes ? String(site.limits.memoryBytes / MB) : "", disk: site?.limits.diskBytes ? String(site.limits.diskBytes / MB) : "",
});

/** What is sent of it. What is no number goes as it is: the API says what is wrong with it. @param {Record<string, string>} form */
export function siteOf(form) {
  const size = (/** @type {string} */ text) => (text.trim() ? Math.round(Number(text) * MB) : null);
  return {
    host: form.host.trim(), name: form.name.trim(), account: form.account.trim(), directory: form.directory.trim(),
    ports: lines(form.ports).map(portOf), domains: lines(form.domains), limits: { memoryBytes: size(form.memory), diskBytes: size(form.disk) },
  };
}

/** @param {string} text `3000-3009`, `8080` */
function portOf(text) {
  const [from, to = from] = text.split("-").map((one) => one.trim());
  return { from: numeric(from), to: numeric(to) };
}

/** @param {string} text */
const numeric = (text) => (/^\d+$/.test(text) ? Number(text) : text);

/** @param {string} text */
const lines = (text) => text.split(/[\n,]/).map((one) => one.trim()).filter(Boolean);

/** The configuration as a form has it. @param {any} config */
export function typedConfig(config) {
  const form = /** @type {Record<string, any>} */ ({
    collectionInterval: String(config.collectionInterval), retentionHours: String(config.retentionHours),
    alertsEnabled: config.alertsEnabled, siteStatsEnabled: config.siteStatsEnabled,
  });
  for (const part of PARTS) for (const level of LEVELS) form[`${part}.${level}`] = String(config.alertThresholds[part][level]);
  return form;
}
export const PARTS = ["cpu", "memory", "disk"];
export const LEVELS = /** @type {const} */ (["warning", "critical"]);

/** What is sent of it. @param {Record<string, any>} form */
export function configOf(form) {
  return {
    collectionInterval: Number(form.collectionInterval), retentionHours: Number(form.retentionHours),
    alertsEnabled: form.alertsEnabled, siteStatsEnabled: form.siteStatsEnabled,
    alertThresholds: Object.fromEntries(PARTS.map((part) => [part, Object.fromEntries(LEVELS.map((level) => [level, Number(form[`${part}.${level}`])]))])),
  };
}
