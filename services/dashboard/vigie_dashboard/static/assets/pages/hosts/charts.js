// The charts of a host and of a site: their history, with thresholds and the alerts that fired.
import { html, useMemo } from "../../core/ui.js";
import { bytes, number, t } from "../../core/i18n.js";
import { Chart, noPoints } from "../../components/chart.js";
import { Empty } from "../../components/states.js";
import { line, perSecond } from "./data.js";
import { percent } from "./parts.js";

/** @typedef {import("../../core/time.js").Range} Range */
/** @typedef {{id: string, lines: import("../../components/chart.js").Line[], format: (value: number | null) => string, alerts: string}} Drawn */

/** @param {number | null} value */
export const perSecondText = (value) => (value === null ? "–" : `${bytes(value)}/s`);
/** @param {number | null} value */
const axis = (value) => (value === null ? "–" : `${number(value)} %`);

/** The lines of a host's history. @param {any[]} points @returns {Record<string, Drawn>} */
export function ofHost(points) {
  const one = (/** @type {string} */ id, /** @type {string} */ color, /** @type {(point: any) => number | null} */ pick) => ({ label: t(`hosts.${id}`), color, fill: true, points: line(points, pick) });
  return {
    cpu: { id: "cpu", format: axis, alerts: "cpu_high", lines: [one("cpu", "series-1", (point) => point.cpu?.percent)] },
    memory: { id: "memory", format: axis, alerts: "memory_high", lines: [one("memory", "series-2", (point) => point.memory?.percent)] },
    disk: { id: "disk", format: axis, alerts: "disk_high", lines: [one("disk", "series-4", (point) => point.disk?.percent)] },
    load: {
      id: "load", format: number, alerts: "",
      lines: /** @type {[string, string][]} */ ([["one", "series-1"], ["five", "series-3"], ["fifteen", "series-5"]])
        .map(([name, color]) => ({ label: t(`hosts.load.${name}`), color, points: line(points, (point) => point.cpu?.loadAvg?.[name]) })),
    },
    network: {
      id: "network", format: perSecondText, alerts: "",
      lines: /** @type {[string, string][]} */ ([["bytesIn", "series-2"], ["bytesOut", "series-3"]])
        .map(([name, color]) => ({ label: t(`hosts.network.${name}`), color, points: perSecond(line(points, (point) => point.network?.[name])) })),
    },
  };
}

/** The lines of a site's history. @param {any[]} points @returns {Drawn[]} */
export const ofSite = (points) => [
  { id: "cpu", format: axis, alerts: "", lines: [{ label: t("sites.cpu"), color: "series-1", fill: true, points: line(points, (point) => point.cpu.percent) }] },
  { id: "memory", format: bytes, alerts: "", lines: [{ label: t("sites.memory"), color: "series-2", fill: true, points: line(points, (point) => point.memory.usedBytes) }] },
];

/** Alerts of a type as marks. @param {any[]} alerts @param {string} type */
export const marksOf = (alerts, type) => alerts.filter((one) => one.type === type)
  .map((one) => ({ from: Date.parse(one.createdAt), to: one.resolvedAt ? Date.parse(one.resolvedAt) : null, label: one.severity, tone: /** @type {"bad" | "warn"} */ (one.severity === "warning" ? "warn" : "bad") }));

/** @param {{charts: Drawn[], range: Range, limits?: any, alerts?: any[], height?: number}} props the first of five takes the width */
export function Charts({ charts, range, limits, alerts = [], height = 140 }) {
  const marks = useMemo(() => Object.fromEntries(charts.map((one) => [one.id, marksOf(alerts, one.alerts)])), [charts, alerts]);
  if (!charts.some((one) => one.lines.some((two) => two.points.some((point) => point[1] !== null)))) return html`<${Empty} title=${noPoints()} height=${height + 26} />`;
  return html`<div class=${`pairs ${charts.length > 2 ? "five" : ""}`}>${charts.map((one) => html`
    <div key=${one.id}>
      <h3>${t(`hosts.${one.id}`)}</h3>
      <${Chart} label=${t(`hosts.${one.id}`)} lines=${one.lines} from=${range.from} to=${range.to} height=${height} format=${one.format} marks=${marks[one.id]}
        thresholds=${limits?.[one.id] ? ["warning", "critical"].map((level) => ({ value: limits[one.id][level], label: t(`hosts.limit.${level}`, { value: percent(limits[one.id][level]) }), color: level === "warning" ? "warn" : "bad" })) : []} />
    </div>`)}</div>`;
}
