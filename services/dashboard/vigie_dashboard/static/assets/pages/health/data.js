// What is known of targets: the API's list with the live states laid over it, and how their past was.
import { ask, get } from "../../core/api.js";

/** @typedef {{name: string, state: string, since: string | null, reason: string, lastCheck: string | null, responseTime: number | null,
 * muted: string, incidentSince: string | null, certificateExpires: string | null, kind: string, url: string, group: string,
 * labels: Record<string, string>, interval: number, enabled: boolean, public: boolean, managedBy: string}} Target */
/** @typedef {{shares: (number | null)[], uptime: number | null}} Past of each bar the share of good checks, null where nothing is known */

/** The windows of the bars: how many, and how long each is. */
export const WINDOWS = /** @type {Record<string, {bars: number, step: number}>} */ ({
  "24h": { bars: 48, step: 1_800 },
  "7d": { bars: 56, step: 10_800 },
  "30d": { bars: 60, step: 43_200 },
});
/** Above so many the rest is found by searching. */
export const MOST = 1_000;
/** A bar in which fewer checks were good is red. */
const BAD = 0.95;
const RANK = /** @type {Record<string, number>} */ ({ down: 0, degraded: 1, unknown: 2, up: 3 });

/** @param {string} q @param {AbortSignal} stop @returns {Promise<{services: Target[], nextCursor: string | null}>} */
export const targets = (q, stop) => get("api/health/services", { limit: MOST, q }, stop);

/** @param {string} name */
export const path = (name) => `api/health/services/${encodeURIComponent(name)}`;

/** How all targets were. @param {string} window @param {AbortSignal} stop @param {string} [name] only this one
 * @returns {Promise<Map<string, Past>>} */
export async function pasts(window, stop, name) {
  const { bars, step } = WINDOWS[window];
  const end = Math.floor(Date.now() / 1000);
  const query = `avg by (target) (avg_over_time(target_available${name === undefined ? "" : `{target=${quoted(name)}}`}[${step}s]))`;
  const answer = await ask("api/v1/query_range", { query, start: end - step * (bars - 1), end, step }, stop);
  return new Map(answer.data.result.map((/** @type {any} */ one) => [one.metric.target, past(one.values, end, bars, step)]));
}

/** A text in PromQL. @param {string} text */
export const quoted = (text) => JSON.stringify(text);

/** @param {[number, string][]} values @param {number} end @param {number} bars @param {number} step @returns {Past} */
export function past(values, end, bars, step) {
  /** @type {(number | null)[]} */
  const shares = Array(bars).fill(null);
  for (const [at, value] of values) shares[bars - 1 - Math.round((end - at) / step)] = Number(value);
  const known = /** @type {number[]} */ (shares.filter((one) => one !== null));
  const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
  return { shares, uptime: known.length ? mean * 100 : null };
}

/** The colour of a bar: none is known, all was good, some was not. @param {number | null} share */
export const colourOf = (share) => (share === null ? "n" : share >= 1 ? "" : share >= BAD ? "w" : "b");

/** Percent, never rounded up: 100 means always. @param {number | null | undefined} percent @param {number} [digits] */
export const floored = (percent, digits = 2) => (percent === null || percent === undefined ? null : Math.floor(percent * 10 ** digits + 1e-9) / 10 ** digits);

/** The live states, by name. @param {Map<string, any> | null} old @param {any} message @returns {Map<string, any>} */
export function taken(old, message) {
  const next = new Map(message.complete ? [] : (old ?? []));
  for (const one of message.data) next.set(one.name, one);
  const removed = new Set(message.removed ?? []);
  for (const [name, one] of next) if (removed.has(one.id)) next.delete(name);
  return next;
}

const LIVE = /** @type {const} */ (["state", "since", "reason", "lastCheck", "responseTime", "muted", "incidentSince", "certificateExpires"]);

/** A target with what was told of it last. @template {Target} T @param {T} target @param {any} live @returns {T} */
export function current(target, live) {
  if (!live?.lastCheck || !target.enabled || live.lastCheck < (target.lastCheck ?? "")) return target;
  const told = Object.fromEntries(LIVE.filter((name) => live[name] !== undefined).map((name) => [name, live[name]]));
  return { ...target, ...told };
}

/** What is shown of a target: switched off it has no state. @param {Target} target */
export const shownState = (target) => (target.enabled ? target.state : "off");

/** Worst first, then by name. @param {Target} a @param {Target} b */
export const worstFirst = (a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name);
/** @param {Target} one */
const rank = (one) => RANK[shownState(one)] ?? 4;

/** @param {Target[]} all @param {{q: string, state: string, group: string}} wanted empty: any */
export function filtered(all, { q, state, group }) {
  const part = q.trim().toLowerCase();
  return all.filter((one) =>
    (!part || `${one.name}\n${one.url}\n${one.kind}`.toLowerCase().includes(part)) && (!state || shownState(one) === state) && (!group || one.group === group));
}
