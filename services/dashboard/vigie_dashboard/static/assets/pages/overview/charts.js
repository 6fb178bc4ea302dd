// The charts of the overview.
import { html, useMemo } from "../../core/ui.js";
import { compact, number, seconds, t } from "../../core/i18n.js";
import { Chart, noPoints, seriesColour } from "../../components/chart.js";
import { rate, whole } from "./data.js";

const DAY = 86_400_000;

/** @typedef {{range: import("../../core/time.js").Range, marks: any[], data: any, yesterday: any}} Shared */

/** @param {Shared} props */
export function Bookings({ range, marks, data, yesterday }) {
  const lines = useMemo(() => [
    { label: t("overview.completed"), color: "series-1", fill: true, points: rate(data.bookings, "completed", 60, range.to) },
    { label: t("overview.cancelled"), color: "series-5", points: rate(data.bookings, "cancelled", 60, range.to) },
    ...(yesterday ? [{ label: t("overview.yesterday"), color: "ink-3", dash: true, width: 1.2,
      points: rate(yesterday.bookings, "completed", 60, range.to).map(([at, value]) => /** @type {[number, number | null]} */ ([at + DAY, value])) }].filter((one) => one.points.some((point) => point[1] !== null)) : []),
  ], [data, yesterday]);
  return html`<${Drawn} label=${t("overview.bookings")} lines=${lines} range=${range} marks=${marks} height=${210} format=${number} />`;
}

/** @param {Shared} props */
export function Latency({ range, marks, data }) {
  const colors = /** @type {Record<string, string>} */ ({ p50: "series-2", p95: "series-3", p99: "series-5" });
  const lines = useMemo(() => Object.keys(colors).map((name) => ({
    label: name, color: colors[name],
    points: whole(data.latency, data.latency.series.find((/** @type {any} */ one) => one.name === name)?.points ?? [], range.to),
  })), [data]);
  return html`<${Drawn} label=${t("overview.latency")} lines=${lines} range=${range} marks=${marks} height=${190} format=${seconds} />`;
}

/** @param {Shared} props */
export function Revenue({ range, marks, data }) {
  const lines = useMemo(() => data.revenue.series.map((/** @type {any} */ one, /** @type {number} */ n) => ({
    label: one.name, color: seriesColour(n), points: rate(data.revenue, one.name, 3600, range.to),
  })), [data]);
  return html`<${Drawn} label=${t("overview.revenue")} lines=${lines} range=${range} marks=${marks} height=${150} format=${compact} />`;
}

/** @param {{label: string, lines: any[], range: any, marks: any[], height: number, format: (value: number | null) => string}} props */
function Drawn({ label, lines, range, marks, height, format }) {
  if (!lines.some((one) => one.points.length)) return html`<p class="empty" style=${`min-height:${height}px`}>${noPoints()}</p>`;
  return html`<${Chart} label=${label} lines=${lines} from=${range.from} to=${range.to} marks=${marks} height=${height} format=${format} />`;
}
