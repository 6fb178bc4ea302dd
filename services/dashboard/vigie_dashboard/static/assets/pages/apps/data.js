// What apps say of themselves, as charts take it.
import { get } from "../../core/api.js";
import { stepFor } from "../../core/time.js";

const POINTS = 120;

/** @typedef {{path: string, metric: string, count: number, min: number | null, max: number | null, avg: number | null, steps: any[]}} Aggregate */
/** @typedef {{id: string, unit: "percent" | "bytes" | "number", of: Aggregate[]}} Group */

/** @param {string} id @param {string} [part] */
export const path = (id, part = "") => `api/apps/${encodeURIComponent(id)}/metrics${part}`;

/** The numbers of an app over a range. @param {string} id @param {{from: number, to: number}} range @param {AbortSignal} stop */
export const aggregated = (id, range, stop) =>
  get(path(id, "/aggregated"), { from: Math.floor(range.from), to: Math.floor(range.to), step: stepFor(range.to - range.from, POINTS) }, stop);

/** Numbers that belong into one chart: processor and memory each, others by themselves. @param {Aggregate[]} all @returns {Group[]} */
export function grouped(all) {
  const cpu = all.filter((one) => one.path.startsWith("cpu."));
  const memory = all.filter((one) => one.path.startsWith("memory."));
  const others = all.filter((one) => !cpu.includes(one) && !memory.includes(one));
  return [
    ...(cpu.length ? [/** @type {Group} */ ({ id: "cpu", unit: "percent", of: cpu })] : []),
    ...(memory.length ? [/** @type {Group} */ ({ id: "memory", unit: "bytes", of: memory })] : []),
    ...others.map((one) => /** @type {Group} */ ({ id: one.path, unit: "number", of: [one] })),
  ];
}

const MOST = 24;
const DEEPEST = 8;

/** The numbers of a report by their paths, in its order: those that people read first. @param {any} metrics
 * @returns {[string, number][]} */
export function numbers(metrics) {
  /** @type {[string, number][]} */
  const found = [];
  /** @param {any} value @param {string} at @param {number} depth */
  const walk = (value, at, depth) => {
    if (found.length >= MOST || depth > DEEPEST || Array.isArray(value)) return;
    if (typeof value === "number") found.push([at, value]);
    else if (value && typeof value === "object") for (const [name, one] of Object.entries(value)) walk(one, at ? `${at}.${name}` : name, depth + 1);
  };
  walk(metrics, "", 0);
  return found;
}

/** The unit of a path. @param {string} at @returns {"percent" | "bytes" | "number"} */
export const unitOf = (at) => (/^cpu\.(usage|system|user)$/.test(at) ? "percent" : /^memory\.(used|total|free)$/.test(at) ? "bytes" : "number");
