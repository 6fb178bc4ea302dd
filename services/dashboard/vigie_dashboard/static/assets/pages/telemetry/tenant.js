// What the node of one tenant reports: now, over a period, and each report.
import { html, useMemo, useState } from "../../core/ui.js";
import { get, Problem } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLater, useLoad, useTick } from "../../core/load.js";
import { param } from "../../core/router.js";
import { tenant } from "../../core/session.js";
import { exactly, now, parseRange, rangeText, spoken, when } from "../../core/time.js";
import { to } from "../../pages.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Chart, noPoints } from "../../components/chart.js";
import { Empty, Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { history, line, MOST, path } from "./data.js";

const EVERY_MS = 30_000;
/** What is told live can be read so much later. */
const STORED_MS = 2_500;
const PAGE = 25;
const PERIODS = ["24h", "7d", "30d"];
const TREND = /** @type {Record<string, string>} */ ({ increasing: "↗", decreasing: "↘", stable: "→" });
/** @param {number | null} value */
const ms = (value) => (value === null ? "–" : `${number(value)} ms`);

export function Tenant() {
  const tick = useTick(EVERY_MS);
  const [told, setTold] = useState(/** @type {any} */ (null));
  useLive("telemetry", {}, (message) => setTold(message.data));
  const news = useLater(told?.timestamp ?? "", STORED_MS);
  const latest = useLoad((stop) => get(path("/latest"), {}, stop).catch((error) => {
    if (error instanceof Problem && error.status === 404) return { metric: null, told: error.detail };
    throw error;
  }), [tick, news]);
  return html`
    <p class="crumb"><a href=${to("telemetry")}>${t("nodes.all")}</a></p>
    <${Loaded} of=${latest} height=${110}>${(/** @type {any} */ data) => (data.metric || told ? html`<${Now} name=${data.tenantName ?? tenant.value} one=${newest(data.metric, told)} />` : html`<section class="card head"><h2 class="grow">${tenant.value}</h2><p>${data.told}</p></section>`)}<//>
    <div class="grid">
      <${Reports} tick=${tick} news=${news} />
      <${Period} tick=${tick} />
    </div>`;
}

/** What was read, or what was told since. @param {any} read @param {any} told */
const newest = (read, told) => (told && !(read?.timestamp > told.timestamp) ? { ...NOTHING, ...told } : read);
const NOTHING = { activeUsers: null, exercisesCompletedToday: null, aiLatency: null, uptime: null, version: null };

/** @param {{name: string, one: any}} props */
function Now({ name: named, one }) {
  /** @type {[string, string][]} */
  const tiles = [
    ["users", number(one.activeUsers)], ["exercises", number(one.exercisesCompletedToday)], ["latency", ms(one.aiLatency)],
    ["uptime", one.uptime === null ? "–" : lasting(one.uptime * 1_000)], ["version", one.version ?? t("state.unknown")],
  ];
  return html`
    <section class="card head" aria-label=${named}>
      <h2 class="grow">${named}</h2>
      <${Badge}>${t("nodes.ago", { time: lasting(now.value - Date.parse(one.timestamp)) })}<//>
    </section>
    <div class="tiles">${tiles.map(([name, value]) => html`<section class="card tile" key=${name}><h2 class="name">${t(`nodes.tile.${name}`)}</h2><div class="value">${value}</div></section>`)}</div>`;
}

/** @param {{tick: number, news: string}} props */
function Reports({ tick, news }) {
  const text = rangeText.value;
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [text, tick, news]);
  const [most, setMost] = useState(PAGE);
  const reports = useLoad((stop) => history(range, stop), [range]);
  const columns = [
    { key: "timestamp", title: t("audit.at"), render: (/** @type {any} */ one) => html`<time datetime=${one.timestamp} title=${exactly(one.timestamp)}>${when(one.timestamp)}</time>` },
    { key: "activeUsers", title: t("nodes.tile.users"), number: true, render: (/** @type {any} */ one) => number(one.activeUsers) },
    { key: "exercisesCompletedToday", title: t("nodes.tile.exercises"), number: true, render: (/** @type {any} */ one) => number(one.exercisesCompletedToday) },
    { key: "aiLatency", title: t("nodes.tile.latency"), number: true, render: (/** @type {any} */ one) => ms(one.aiLatency) },
    { key: "version", title: t("nodes.version") },
    { key: "additionalData", title: t("nodes.more"), wide: true, sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => one.additionalData && html`<code>${JSON.stringify(one.additionalData)}</code>` },
  ];
  return html`
    <${Card} title=${t("nodes.reports")} note=${spoken(range)}>
      <${Loaded} of=${reports} height=${520}>${(/** @type {any} */ answer) => html`
        ${answer.pagination.hasMore && html`<p class="hint">${t("nodes.newest", { shown: MOST, total: answer.pagination.total })}</p>`}
        ${answer.data.length ? html`<${Lines} reports=${answer.data} range=${range} />` : html`<${Empty} title=${noPoints()} height=${160} />`}
        ${answer.data.length > 0 && html`<${Table} caption=${t("nodes.reports")} columns=${columns} rows=${answer.data.slice(0, most)} rowKey=${(/** @type {any} */ one) => one.id}
          more=${answer.data.length > most ? () => setMost(most + PAGE) : null} />`}`}<//>
    <//>`;
}

/** @param {{reports: any[], range: import("../../core/time.js").Range}} props */
function Lines({ reports, range }) {
  const drawn = useMemo(() => /** @type {[string, string, string][]} */ ([["users", "activeUsers", "series-1"], ["latency", "aiLatency", "series-3"]])
    .map(([name, field, color]) => ({ name, lines: [{ label: t(`nodes.tile.${name}`), color, fill: true, points: line(reports, field) }] })), [reports]);
  return drawn.map((one) => html`<${Chart} key=${one.name} label=${t(`nodes.tile.${one.name}`)} lines=${one.lines} from=${range.from} to=${range.to} height=${140} format=${one.name === "latency" ? ms : number} />`);
}

/** @param {{tick: number}} props */
function Period({ tick }) {
  const [period, setPeriod] = useState("7d");
  const added = useLoad((stop) => get(path("/aggregated"), { period }, stop), [period, tick]);
  const choice = html`<select class="control" aria-label=${t("nodes.period")} onChange=${(/** @type {any} */ event) => setPeriod(event.target.value)}>
    ${PERIODS.map((one) => html`<option value=${one} selected=${one === period}>${t(`range.${one}`)}</option>`)}
  </select>`;
  return html`
    <${Card} title=${t("nodes.period")} actions=${choice}>
      <${Loaded} of=${added} height=${260}>${(/** @type {any} */ { metrics, trend, dataPoints }) => html`
        <dl class="facts">
          <dt>${t("nodes.count")}</dt><dd>${number(dataPoints)}</dd>
          <dt>${t("nodes.users.avg")}</dt><dd>${number(metrics.avgActiveUsers)} <${Trend} value=${trend.activeUsers} /></dd>
          <dt>${t("nodes.users.span")}</dt><dd>${number(metrics.minActiveUsers)} – ${number(metrics.maxActiveUsers)}</dd>
          <dt>${t("nodes.exercises.avg")}</dt><dd>${number(metrics.avgExercisesPerDay)} <${Trend} value=${trend.exercises} /></dd>
          <dt>${t("nodes.latency.avg")}</dt><dd>${ms(metrics.avgAiLatency)} <${Trend} value=${trend.aiLatency} /></dd>
          <dt>${t("nodes.latency.span")}</dt><dd>${ms(metrics.minAiLatency)} – ${ms(metrics.maxAiLatency)}</dd>
        </dl>`}<//>
    <//>`;
}

/** @param {{value: string}} props */
const Trend = ({ value }) => html`<span title=${t(`nodes.trend.${value}`)}><span aria-hidden="true">${TREND[value] ?? ""}</span><span class="sr-only">${t(`nodes.trend.${value}`)}</span></span>`;
