// The past of one target: response times over the range of the page, checks, incidents.
import { html, useEffect, useMemo, useState } from "../../core/ui.js";
import { ask, get } from "../../core/api.js";
import { lasting, seconds, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { param } from "../../core/router.js";
import { exactly, parseRange, rangeText, spoken, stepFor, when } from "../../core/time.js";
import { State } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Chart, noPoints } from "../../components/chart.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { path, quoted } from "./data.js";
import { milliseconds } from "./parts.js";

const EVERY_MS = 15_000;
const PAGE = 25;
const VERDICTS = ["up", "degraded", "down", "unknown"];

/** @param {{name: string, incidents: any[]}} props */
export function Response({ name, incidents }) {
  const text = rangeText.value;
  const tick = useTick(parseRange(text, 0).live ? EVERY_MS : 0);
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [text, tick, name]);
  const drawn = useLoad((stop) => durations(name, range, stop), [range]);
  const marks = incidents.map((one) => ({ from: Date.parse(one.started), to: one.ended ? Date.parse(one.ended) : null, label: t("state.down") }));
  return html`
    <${Card} title=${t("health.response")} note=${spoken(range)}>
      <${Loaded} of=${drawn} height=${236}>${(/** @type {any[]} */ lines) => lines.length
        ? html`<${Chart} label=${t("health.response")} lines=${lines} from=${range.from} to=${range.to} marks=${marks} height=${210} format=${seconds} />`
        : html`<p class="empty" style="min-height:236px">${noPoints()}</p>`}<//>
    <//>`;
}

/** @param {string} name @param {import("../../core/time.js").Range} range @param {AbortSignal} stop */
async function durations(name, range, stop) {
  const step = stepFor(range.to - range.from);
  const asked = { start: range.from / 1000, end: range.to / 1000, step };
  const of = `(probe_duration_seconds{target=${quoted(name)}}[${step}s])`;
  const [mean, most] = await Promise.all(["avg by (target) (avg_over_time", "max by (target) (max_over_time"].map((how) => ask("api/v1/query_range", { query: `${how}${of})`, ...asked }, stop)));
  const points = (/** @type {any} */ answer) => (answer.data.result[0]?.values ?? []).map((/** @type {[number, string]} */ one) => [one[0] * 1000, Number(one[1])]);
  return [
    { label: t("health.average"), color: "series-1", fill: true, points: points(mean) },
    { label: t("health.slowest"), color: "series-3", points: points(most) },
  ].filter((one) => one.points.length);
}

/** The newest checks; more on demand. @param {{name: string, tick: number, news: string}} props */
export function Checks({ name, tick, news }) {
  const [verdict, setVerdict] = useState("");
  const [pages, setPages] = useState(1);
  useEffect(() => setPages(1), [name, verdict]);
  const checks = useLoad((stop) => get(`${path(name)}/checks`, { limit: PAGE * pages, verdict }, stop), [name, verdict, pages, tick, news]);
  const columns = [
    { key: "timestamp", title: t("health.at"), render: (/** @type {any} */ one) => html`<time datetime=${one.timestamp} title=${exactly(one.timestamp)}>${when(one.timestamp)}</time>` },
    { key: "verdict", title: t("health.verdict"), render: (/** @type {any} */ one) => html`<${State} value=${one.verdict} />` },
    { key: "responseTime", title: t("health.response"), number: true, render: (/** @type {any} */ one) => milliseconds(one.responseTime) },
    { key: "attempts", title: t("health.attempts"), number: true },
    { key: "reason", title: t("health.reason"), wide: true, sort: /** @type {false} */ (false) },
  ];
  const filter = html`<select class="control" aria-label=${t("health.verdict")} onChange=${(/** @type {any} */ event) => setVerdict(event.target.value)}>
    <option value="">${t("health.verdict.any")}</option>
    ${VERDICTS.map((one) => html`<option value=${one} selected=${one === verdict}>${t(`state.${one}`)}</option>`)}
  </select>`;
  return html`
    <${Card} title=${t("health.checks")} actions=${filter}>
      <${Loaded} of=${checks} height=${320}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("health.checks")} columns=${columns} rows=${data.checks} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("health.checks.none")}
          more=${data.nextCursor && PAGE * (pages + 1) <= 1_000 ? () => setPages(pages + 1) : null} busy=${checks.loading} />`}<//>
    <//>`;
}

/** @param {{of: import("../../core/load.js").Loaded<any>}} props */
export function Incidents({ of }) {
  const columns = [
    { key: "started", title: t("health.began"), render: (/** @type {any} */ one) => html`<time datetime=${one.started} title=${exactly(one.started)}>${when(one.started)}</time>` },
    { key: "durationSeconds", title: t("health.lasted"), render: (/** @type {any} */ one) => (one.ended ? lasting(one.durationSeconds * 1000) : t("health.goes.on", { time: lasting(one.durationSeconds * 1000) })) },
    { key: "reason", title: t("health.reason"), wide: true, sort: /** @type {false} */ (false) },
  ];
  return html`
    <${Card} title=${t("health.incidents")}>
      <${Loaded} of=${of} height=${80}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("health.incidents")} columns=${columns} rows=${data.incidents} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("health.incidents.none")} />`}<//>
    <//>`;
}
