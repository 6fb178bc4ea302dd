// Expressions: what is being typed, what could come next, and what the builder writes.

/** @typedef {{metric: string, fn: string, by: string, match: string}} Built */

export const FUNCTIONS = ["avg", "min", "max", "last", "sum", "count", "increase", "rate", "p50", "p90", "p95", "p99"];
const WORDS = ["sum", "avg", "min", "max", "count", "topk", "bottomk", "quantile", "rate", "irate", "increase", "histogram_quantile", "avg_over_time",
  "max_over_time", "min_over_time", "sum_over_time", "count_over_time", "quantile_over_time", "last_over_time", "delta", "deriv", "predict_linear", "abs", "round",
  "clamp_min", "clamp_max", "label_replace", "absent", "absent_over_time", "by", "without", "offset", "zscore_over_time", "seasonal_zscore"];

/** @typedef {{kind: "name" | "label" | "value", typed: string, from: number, metric: string, label: string}} Place */

/** What stands at the cursor. @param {string} text @param {number} at @returns {Place} */
export function placeAt(text, at) {
  const before = text.slice(0, at);
  const open = openBrace(before);
  if (open < 0) {
    const typed = /[a-zA-Z_:][\w:]*$/.exec(before)?.[0] ?? "";
    const grouped = /\b(?:by|without|on|ignoring)\s*\(([^()]*)$/.exec(before);
    return { kind: grouped ? "label" : "name", typed, from: at - typed.length, metric: /([a-zA-Z_:][\w:]*)\s*[{[]/.exec(text)?.[1] ?? "", label: "" };
  }
  const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(before.slice(0, open))?.[1] ?? "";
  const inside = before.slice(open + 1);
  const value = /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)$/.exec(inside);
  if (value) return { kind: "value", typed: value[2], from: at - value[2].length, metric, label: value[1] };
  const typed = /[a-zA-Z_]\w*$/.exec(inside)?.[0] ?? "";
  return { kind: "label", typed, from: at - typed.length, metric, label: "" };
}

/** Where the brace begins that the end of the text is inside of; -1 outside. @param {string} text */
function openBrace(text) {
  let open = -1;
  let quoted = false;
  for (let n = 0; n < text.length; n++) {
    if (quoted && text[n] === "\\") n++;
    else if (text[n] === '"') quoted = !quoted;
    else if (!quoted && text[n] === "{") open = n;
    else if (!quoted && text[n] === "}") open = -1;
  }
  return open;
}

/** Those that fit best, best first. @param {string[]} known @param {string} typed @param {number} [most] */
export function fitting(known, typed, most = 12) {
  const low = typed.toLowerCase();
  const rank = (/** @type {string} */ one) => (one.toLowerCase().startsWith(low) ? 0 : one.toLowerCase().includes(low) ? 1 : 2);
  return known.filter((one) => rank(one) < 2 && one !== typed).sort((a, b) => rank(a) - rank(b) || a.length - b.length || a.localeCompare(b)).slice(0, most);
}

/** Names of functions beside those of metrics. @param {string[]} metrics */
export const names = (metrics) => [...metrics, ...WORDS];

/** The text with the chosen word in its place, and where the cursor is then.
 * @param {string} text @param {number} at @param {Place} place @param {string} chosen @returns {[string, number]} */
export function completed(text, at, place, chosen) {
  const word = place.kind === "value" ? chosen.replace(/["\\]/g, "\\$&") : chosen;
  return [text.slice(0, place.from) + word + text.slice(at), place.from + word.length];
}

/** What the builder means, as PromQL. @param {Built} built @param {string} [kind] `gauge`, `counter` or `histogram` */
export function promql({ metric, fn, by, match }, kind = "") {
  const labels = by.split(",").map((one) => one.trim()).filter(Boolean);
  const chosen = `${metric}${match.trim() ? `{${matchers(match)}}` : ""}`;
  const group = labels.length ? ` by (${labels.join(", ")})` : "";
  if (/^p\d/.test(fn)) {
    const quantile = Number(fn.slice(1)) / 100;
    if (kind !== "histogram") return `quantile${group} (${quantile}, ${chosen})`;
    const bucket = chosen.replace(metric, `${metric}_bucket`);
    return `histogram_quantile(${quantile}, sum by (${[...labels, "le"].join(", ")}) (rate(${bucket}[5m])))`;
  }
  const counted = kind === "histogram" ? chosen.replace(metric, `${metric}_count`) : chosen;
  if (fn === "rate" || fn === "increase") return `sum${group} (${fn}(${counted}[5m]))`;
  return `${fn === "last" ? "max" : fn}${group} (${kind === "histogram" ? counted : chosen})`;
}

/** @param {string} match `label=value`, comma between them */
const matchers = (match) => match.split(",").map((one) => one.trim()).filter(Boolean)
  .map((one) => one.replace(/^([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"?(.*?)"?$/, (_, name, sign, value) => `${name}${sign}"${value.replace(/["\\]/g, "\\$&")}"`)).join(", ");

/** Labels in one line. @param {Record<string, string>} labels */
export function named(labels) {
  const { __name__: name = "", ...rest } = labels;
  const inside = Object.entries(rest).map(([key, value]) => `${key}="${value}"`).join(", ");
  return inside ? `${name}{${inside}}` : name || "{}";
}

/** Lines as a file for a spreadsheet; what would be a formula there is text.
 * @param {{label: string, points: [number, number | null][]}[]} lines */
export function csv(lines) {
  const times = [...new Set(lines.flatMap((one) => one.points.map((point) => point[0])))].sort((a, b) => a - b);
  const values = lines.map((one) => new Map(one.points));
  const rows = times.map((at) => [new Date(at).toISOString(), ...values.map((one) => one.get(at) ?? "")]);
  return [["time", ...lines.map((one) => one.label)], ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** @param {unknown} value */
function cell(value) {
  const text = String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
