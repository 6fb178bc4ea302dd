// What nodes report, as charts and tables take it.
import { get } from "../../core/api.js";
import { tenant } from "../../core/session.js";

/** @typedef {[number, number | null]} Point */

/** Reports that one answer has at most. */
export const MOST = 1_000;
/** Health of tenants, worst first, with its colour. */
export const HEALTH = /** @type {[string, string][]} */ ([["critical", "b"], ["warning", "w"], ["healthy", ""], ["noData", "n"]]);

/** @param {string} [part] */
export const path = (part = "") => `admin/tenant/${encodeURIComponent(tenant.value)}/metrics${part}`;

/** The newest reports of a range. @param {{from: number, to: number}} range @param {AbortSignal} stop */
export const history = (range, stop) => get(path(), { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString(), limit: MOST }, stop);

/** One number of reports, which are newest first, over time. @param {any[]} reports @param {string} name @returns {Point[]} */
export const line = (reports, name) => reports.map((one) => /** @type {Point} */ ([Date.parse(one.timestamp), one[name]])).reverse();

/** One number of days, which are newest first. @param {any[]} days @param {string} name @returns {Point[]} */
export const daily = (days, name) => days.map((one) => /** @type {Point} */ ([Date.parse(one.date), one[name]])).reverse();

/** Shares of a whole, in percent; none of nothing. @param {Record<string, number>} counts @returns {Record<string, number>} */
export function shares(counts) {
  const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, all ? (count / all) * 100 : 0]));
}
