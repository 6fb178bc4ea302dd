// The two ways to ask, and their answers in one shape.
import { ask, get } from "../../core/api.js";
import { stepFor } from "../../core/time.js";
import { named } from "./expression.js";

/** @typedef {{label: string, labels: Record<string, string>, points: [number, number | null][]}} Line */
/** @typedef {{lines: Line[], step: number, notes: string[], tier: string | null, errorBound: number | null | undefined, more: boolean}} Answer */

const MOST_LINES = 100;
const POINTS = 300;

/** An expression over a range. @param {string} query @param {import("../../core/time.js").Range} range
 * @param {AbortSignal} stop @returns {Promise<Answer>} */
export async function byExpression(query, range, stop) {
  const step = stepFor(range.to - range.from, POINTS);
  const end = Math.floor(range.to / 1000 / step) * step;
  const start = Math.ceil(range.from / 1000 / step) * step;
  const answer = await ask("api/v1/query_range", { query, start, end, step, limit: MOST_LINES + 1 }, stop);
  const found = answer.data.result;
  const lines = found.slice(0, MOST_LINES).map((/** @type {any} */ one) => ({ label: named(one.metric), labels: one.metric, points: filled(one.values ?? [], start, end, step) }));
  return { lines, step, notes: [...(answer.warnings ?? []), ...(answer.infos ?? [])], tier: null, errorBound: undefined, more: found.length > MOST_LINES };
}

/** A place for every step, so that a line ends where there is nothing. @param {[number, string][]} values
 * @param {number} start @param {number} end @param {number} step @returns {[number, number | null][]} */
export function filled(values, start, end, step) {
  const known = new Map(values.map(([at, value]) => [Math.round(at), Number(value)]));
  /** @type {[number, number | null][]} */
  const points = [];
  for (let at = start; at <= end; at += step) {
    const value = known.get(at);
    points.push([at * 1000, value === undefined || !Number.isFinite(value) ? null : value]);
  }
  return points;
}

/** What the builder asks, over a range. @param {import("./expression.js").Built} built
 * @param {import("../../core/time.js").Range} range @param {AbortSignal} stop @returns {Promise<Answer>} */
export async function byChoice(built, range, stop) {
  const match = built.match.split(",").map((one) => one.trim()).filter(Boolean);
  const step = stepFor(range.to - range.from, POINTS);
  const answer = await get("api/query_range", {
    metric: built.metric, function: built.fn, by: built.by.replace(/\s/g, ""), match, from: Math.floor(range.from), to: Math.floor(range.to), step,
  }, stop);
  return {
    lines: answer.series.slice(0, MOST_LINES).map((/** @type {any} */ one) => ({ label: named(one.labels) === "{}" ? `${built.fn} ${built.metric}` : named(one.labels), labels: one.labels, points: one.points })),
    step: answer.step, notes: [], tier: answer.tiers.join(", "), errorBound: answer.errorBound, more: answer.truncated || answer.series.length > MOST_LINES,
  };
}
