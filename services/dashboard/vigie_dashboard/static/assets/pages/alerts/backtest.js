// What a rule would have done: its number, its limit and the times it would have fired.
import { html } from "../../core/ui.js";
import { lasting, t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { when } from "../../core/time.js";
import { Severity } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Chart, seriesColour } from "../../components/chart.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { byExpression } from "../explore/asking.js";
import { named } from "../explore/expression.js";
import { compared } from "./condition.js";

const DRAWN = 12;

/** @param {{answer: any}} props */
export function Backtest({ answer }) {
  const one = answer.rules[0];
  const range = { from: Date.parse(answer.from), to: Date.parse(answer.to), live: false, text: "" };
  const { expression, limits } = compared(one.promql);
  const numbers = useLoad((stop) => byExpression(expression, range, stop), [expression, answer.from]);
  const fired = one.episodes.filter((/** @type {any} */ episode) => episode.firedAt);
  const marks = fired.map((/** @type {any} */ episode) => ({ from: Date.parse(episode.firedAt), to: episode.endedAt ? Date.parse(episode.endedAt) : range.to, label: "" }));
  return html`
    <${Card} title=${t("backtest.title")} note=${t("backtest.note", { from: when(answer.from), to: when(answer.to) })}>
      <p role="status"><b>${t("backtest.fired", { count: one.fired })}</b> ${t("backtest.more", { waited: one.waited, time: lasting(one.firingMs), pages: one.pages, series: one.series })}</p>
      ${[one.error, ...one.notes].filter(Boolean).map((text) => html`<p class="notice warn">${text}</p>`)}
      <${Loaded} of=${numbers} height=${240}>${(/** @type {any} */ data) => html`
        <${Chart} label=${one.name} lines=${data.lines.slice(0, DRAWN).map((/** @type {any} */ line, /** @type {number} */ n) => ({ label: line.label, points: line.points, color: seriesColour(n) }))}
          from=${range.from} to=${range.to} marks=${marks} thresholds=${limits.map((value) => ({ value, label: t("alert.threshold", { value }) }))} zoom=${false} />`}<//>
      ${fired.length > 0 && html`<${Table} caption=${t("backtest.title")} rows=${fired} rowKey=${(/** @type {any} */ episode) => `${named(episode.labels)} ${episode.beganAt}`} columns=${[
        { key: "firedAt", title: t("alerts.since"), render: (/** @type {any} */ episode) => when(episode.firedAt) },
        { key: "firingMs", title: t("backtest.lasted"), number: true, render: (/** @type {any} */ episode) => lasting(episode.firingMs) },
        { key: "severity", title: t("alerts.severity"), render: (/** @type {any} */ episode) => html`<${Severity} value=${episode.severity} />` },
        { key: "labels", title: t("alert.labels"), wide: true, sort: (/** @type {any} */ episode) => named(episode.labels), render: (/** @type {any} */ episode) => html`<code>${named(episode.labels)}</code>` },
      ]} />`}
    <//>`;
}
