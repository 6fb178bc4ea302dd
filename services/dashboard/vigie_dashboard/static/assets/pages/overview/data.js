// What the overview asks for, and how its numbers are made of it.
import { get } from "../../core/api.js";
import { stepFor } from "../../core/time.js";

/** @typedef {import("../../components/chart.js").Point} Point */
/** @typedef {{name: string, labels: Record<string, string>, points: Point[]}} Drawn */
/** @typedef {{step: number, series: Drawn[]}} ChartData */

const POINTS = 90;
const DAY = 86_400_000;
const HOUR = 3_600_000;
/** Over so much time a number of now is compared with one of then. */
const COMPARED_MS = 600_000;

/** A chart of the API over a range. @param {string} type @param {number} from @param {number} to
 * @param {AbortSignal} [signal] @returns {Promise<ChartData>} */
export function chart(type, from, to, signal) {
  const step = stepFor(to - from, POINTS);
  return get(`api/dashboard/charts/${type}`, { from: Math.floor(from), to: Math.floor(to), step }, signal);
}

/** Points per `per` seconds; the step that is not over yet is left out, because less of it counts.
 * @param {ChartData} data @param {string} name @param {number} per @param {number} now @returns {Point[]} */
export function rate(data, name, per, now) {
  const found = data.series.find((one) => one.name === name);
  return whole(data, found?.points ?? [], now).map(([at, value]) => [at, value === null ? null : (value / data.step) * per]);
}

/** @param {ChartData} data @param {Point[]} points @param {number} now @returns {Point[]} */
export const whole = (data, points, now) => points.filter(([at]) => at + data.step * 1000 <= now);

/** The lines of a chart, added. @param {ChartData} data @param {number} now @param {(one: Drawn) => boolean} [which] @returns {Point[]} */
export function added(data, now, which = () => true) {
  /** @type {Map<number, number | null>} */
  const sums = new Map();
  for (const one of data.series.filter(which)) {
    for (const [at, value] of whole(data, one.points, now)) sums.set(at, value === null ? (sums.get(at) ?? null) : (sums.get(at) ?? 0) + value);
  }
  return [...sums].sort((a, b) => a[0] - b[0]);
}

/** The quotient of two rows of points, in percent. @param {Point[]} part @param {Point[]} of @returns {Point[]} */
export function percent(part, of) {
  const parts = new Map(part);
  return of.map(([at, value]) => [at, value ? ((parts.get(at) ?? 0) / value) * 100 : null]);
}

/** @param {Point[]} points @param {number} from @param {number} to */
export function mean(points, from, to) {
  const values = points.filter(([at, value]) => at >= from && at < to && value !== null).map((one) => Number(one[1]));
  return values.length ? values.reduce((sum, one) => sum + one, 0) / values.length : null;
}

/** @typedef {{now: number, then: number, since: "yesterday" | "hour"}} Change */

/** How the last minutes differ from the same ones of yesterday, or else of an hour ago.
 * @param {Point[]} points @param {Point[]} yesterday @param {number} now @returns {Change | null} */
export function change(points, yesterday, now) {
  const recent = mean(points, now - COMPARED_MS, now);
  if (recent === null) return null;
  const before = mean(yesterday, now - DAY - COMPARED_MS, now - DAY);
  if (before !== null) return { now: recent, then: before, since: "yesterday" };
  const earlier = mean(points, now - HOUR, now - HOUR + COMPARED_MS);
  return earlier === null ? null : { now: recent, then: earlier, since: "hour" };
}

const CHARTS = ["bookings", "latency", "requests", "errors", "revenue"];

/** All charts of the page. @param {number} from @param {number} to @param {AbortSignal} signal
 * @returns {Promise<Record<string, ChartData>>} */
export async function charts(from, to, signal) {
  const answers = await Promise.all(CHARTS.map((type) => chart(type, from, to, signal)));
  return Object.fromEntries(CHARTS.map((type, n) => [type, answers[n]]));
}

/** What happened, newest first. @param {any[]} alerts @param {any[]} incidents @param {number} since
 * @returns {{at: number, kind: string, name: string, detail: string, href: string[]}[]} */
export function feed(alerts, incidents, since) {
  const events = [];
  for (const one of alerts) {
    const link = ["alerts", one.id];
    events.push({ at: Date.parse(one.createdAt), kind: "fired", name: one.type, detail: one.message, href: link });
    if (one.acknowledgedAt) events.push({ at: Date.parse(one.acknowledgedAt), kind: "acknowledged", name: one.type, detail: one.acknowledgedBy ?? "", href: link });
    if (one.resolvedAt) events.push({ at: Date.parse(one.resolvedAt), kind: "resolved", name: one.type, detail: one.message, href: link });
  }
  for (const one of incidents) {
    const link = ["health", one.service];
    events.push({ at: Date.parse(one.started), kind: "down", name: one.service, detail: one.reason, href: link });
    if (one.ended) events.push({ at: Date.parse(one.ended), kind: "back", name: one.service, detail: "", href: link });
  }
  return events.filter((one) => one.at >= since).sort((a, b) => b.at - a.at);
}
