// The platform now, and day by day.
import { html, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { usePaged } from "../../core/paged.js";
import { may } from "../../core/session.js";
import { clock } from "../../core/time.js";
import { to } from "../../pages.js";
import { Card } from "../../components/card.js";
import { Chart } from "../../components/chart.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { daily, HEALTH, shares } from "./data.js";

const EVERY_MS = 15_000;
const DAYS = [7, 30, 90];
const DAY = 86_400_000;

export function Platform() {
  const tick = useTick(EVERY_MS);
  const summary = useLoad((stop) => get("admin/global/summary", {}, stop), [tick]);
  return html`
    <${Tiles} summary=${summary.data} />
    <div class="grid">
      <div class="stack"><${Trends} /><${TenantTable} /></div>
      <div class="stack">
        <${Card} title=${t("nodes.health")} note=${summary.data && clock(summary.data.timestamp, true)}>
          <${Loaded} of=${summary} height=${160}>${(/** @type {any} */ data) => html`<${Health} health=${data.health} />`}<//>
        <//>
        <${Card} title=${t("nodes.versions")}>
          <${Loaded} of=${summary} height=${120}>${(/** @type {any} */ data) => html`<${Versions} versions=${data.versions} />`}<//>
        <//>
        <${Card} title=${t("nodes.licences")}>
          <${Loaded} of=${summary} height=${120}>${(/** @type {any} */ data) => html`
            <dl class="facts">${["active", "expiringSoon", "expired", "total"].map((name) => html`<dt>${t(`nodes.licences.${name}`)}</dt><dd>${number(data.licenses[name])}</dd>`)}</dl>`}<//>
        <//>
      </div>
    </div>`;
}

/** @param {{summary: any}} props */
function Tiles({ summary }) {
  const usage = summary?.usage;
  /** @type {[string, any, string][]} */
  const tiles = [
    ["tenants", summary && number(summary.tenants.active), summary && t("nodes.tile.tenants.of", { total: summary.tenants.total, recent: summary.tenants.withRecentData })],
    ["users", usage && number(usage.totalActiveUsers), t("nodes.tile.now")],
    ["exercises", usage && number(usage.totalExercisesCompletedToday), t("nodes.tile.today")],
    ["latency", usage && (usage.averageAiLatency === null ? "–" : `${number(usage.averageAiLatency, 0)} ms`), t("nodes.tile.average")],
    ["uptime", usage && (usage.totalUptime === null ? "–" : lasting(usage.totalUptime * 1_000)), t("nodes.tile.together")],
  ];
  return html`
    <div class="tiles">${tiles.map(([name, value, note]) => html`
      <section class="card tile" key=${name}>
        <h2 class="name">${t(`nodes.tile.${name}`)}</h2>
        <div class=${`value ${summary ? "" : "waiting"}`}>${value ?? "–"}</div>
        <div class="delta">${note ?? ""}</div>
      </section>`)}
    </div>`;
}

/** @param {{health: Record<string, number>}} props */
function Health({ health }) {
  const share = shares(health);
  return html`
    <span class="ticks parts" aria-hidden="true">${HEALTH.filter((one) => health[one[0]]).map(([name, colour]) => html`<span class=${colour} style=${`flex:${share[name].toFixed(2)}`}></span>`)}</span>
    <dl class="facts">${HEALTH.map(([name]) => html`<dt>${t(`nodes.health.${name}`)}</dt><dd>${number(health[name])}</dd>`)}</dl>`;
}

/** @param {{versions: {version: string, count: number}[]}} props */
function Versions({ versions }) {
  const share = shares(Object.fromEntries(versions.map((one) => [one.version, one.count])));
  const columns = [
    { key: "version", title: t("nodes.version"), wide: true, render: (/** @type {any} */ one) => (one.version === "unknown" ? t("state.unknown") : one.version) },
    { key: "share", title: t("nodes.share"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<span class="meter wide" aria-hidden="true"><i style=${`width:${share[one.version].toFixed(1)}%`}></i></span>` },
    { key: "count", title: t("nodes.tenants"), number: true, render: (/** @type {any} */ one) => number(one.count) },
  ];
  return html`<${Table} caption=${t("nodes.versions")} columns=${columns} rows=${versions} rowKey=${(/** @type {any} */ one) => one.version} empty=${t("nodes.none")} />`;
}

function Trends() {
  const [days, setDays] = useState(30);
  const trends = useLoad((stop) => get("admin/global/usage-trends", { days }, stop), [days]);
  const choice = html`<select class="control" aria-label=${t("bar.range")} onChange=${(/** @type {any} */ event) => setDays(Number(event.target.value))}>
    ${DAYS.map((one) => html`<option value=${one} selected=${one === days}>${t("nodes.days", { days: one })}</option>`)}
  </select>`;
  return html`
    <${Card} title=${t("nodes.trends")} note=${trends.data && trends.data.timezone} actions=${choice}>
      <${Loaded} of=${trends} height=${640}>${(/** @type {any} */ data) => html`<${Drawn} data=${data} />`}<//>
    <//>`;
}

/** @param {{data: any}} props */
function Drawn({ data }) {
  const days = data.trends;
  const to_ = Date.parse(days[0].date);
  const from = to_ - (days.length - 1) * DAY;
  const charts = useMemo(() => /** @type {[string, string, string, (value: number | null) => string][]} */ ([
    ["users", "avgActiveUsers", "series-1", number],
    ["exercises", "totalExercises", "series-2", number],
    ["latency", "avgAiLatency", "series-3", (value) => `${number(value)} ms`],
  ]).map(([name, field, color, format]) => ({ name, format, lines: [{ label: t(`nodes.tile.${name}`), color, fill: true, points: daily(days, field) }] })), [data]);
  const columns = [
    { key: "date", title: t("usage.day") },
    { key: "avgActiveUsers", title: t("nodes.tile.users"), number: true, render: (/** @type {any} */ one) => number(one.avgActiveUsers) },
    { key: "totalExercises", title: t("nodes.tile.exercises"), number: true, render: (/** @type {any} */ one) => number(one.totalExercises) },
    { key: "avgAiLatency", title: t("nodes.tile.latency"), number: true, render: (/** @type {any} */ one) => (one.avgAiLatency === null ? "–" : `${number(one.avgAiLatency)} ms`) },
    { key: "tenantsReporting", title: t("nodes.reporting"), number: true, render: (/** @type {any} */ one) => number(one.tenantsReporting) },
    { key: "uptimePercentage", title: t("nodes.reported"), number: true, render: (/** @type {any} */ one) => (one.uptimePercentage === null ? "–" : `${number(one.uptimePercentage)} %`) },
  ];
  return html`
    ${data.summary.peakDate && html`<p class="hint">${t("nodes.peak", { users: data.summary.peakUsers, date: data.summary.peakDate })}</p>`}
    ${charts.map((one) => html`<${Chart} key=${one.name} label=${t(`nodes.tile.${one.name}`)} lines=${one.lines} from=${from} to=${to_} height=${130} format=${one.format} zoom=${false} />`)}
    <details class="fold"><summary>${t("nodes.table")}</summary>
      <${Table} caption=${t("nodes.trends")} columns=${columns} rows=${days} rowKey=${(/** @type {any} */ one) => one.date} />
    </details>`;
}

/** The way to each tenant. */
function TenantTable() {
  const tenants = usePaged(async (cursor, stop) => {
    const answer = await get("admin/tenants", { limit: 100, cursor }, stop);
    return { rows: answer.tenants, next: answer.nextCursor };
  }, []);
  const columns = [
    { key: "id", title: t("tenant.id"), render: (/** @type {any} */ one) => (may("telemetry.read") ? html`<a href=${to(["telemetry", "tenant"], { tenant: one.id })}>${one.id}</a>` : one.id) },
    { key: "name", title: t("tenant.name"), wide: true },
    { key: "status", title: t("tenant.status"), render: (/** @type {any} */ one) => t(`tenant.is.${one.status}`) },
  ];
  return html`
    <${Card} title=${t("admin.tenants")}>
      <${Loaded} of=${tenants} height=${160}>${(/** @type {any[]} */ rows) => html`
        <${Table} caption=${t("admin.tenants")} columns=${columns} rows=${rows} rowKey=${(/** @type {any} */ one) => one.id} more=${tenants.more} busy=${tenants.loading} />`}<//>
    <//>`;
}
