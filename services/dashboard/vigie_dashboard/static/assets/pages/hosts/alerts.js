// The alerts on hosts, sites and services, live: those of everything, of one host, or of one site.
import { html, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { usePaged } from "../../core/paged.js";
import { go, param, setParams } from "../../core/router.js";
import { exactly, now, when } from "../../core/time.js";
import { alertNews, open } from "../../core/firing.js";
import { Severity, State, toneOfSeverity } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Empty, Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { to } from "../../pages.js";
import { Actions } from "../alerts/list.js";
import { SUPERVISED } from "./data.js";

const LIMIT = 100;
const STATES = ["open", "active", "acknowledged", "resolved", "all"];
const STATUS = /** @type {Record<string, string[]>} */ ({ open: ["active", "acknowledged"], all: [] });

/** How many of the five types fire and nobody has them, of a host when one is named. @param {string | null} host */
export const countFiring = (host) => [...(open.value?.values() ?? [])]
  .filter((one) => one.status === "active" && SUPERVISED.has(one.type) && (!host || one.labels.host === host)).length;

/** Those of a host or a site, also those that are over: for marks in charts and short lists.
 * @param {Record<string, string>} of @param {number} tick */
export const useAlerts = (of, tick) => useLoad((stop) => get("stats/alerts", { ...of, limit: LIMIT }, stop), [JSON.stringify(of), tick, alertNews.value]);

/** @param {{host: string | null, tick: number}} props */
export function Alerts({ host, tick }) {
  const state = param("state").value ?? "";
  const shown = STATES.includes(state) ? state : "open";
  const alerts = usePaged(async (cursor, stop) => {
    const answer = await get("stats/alerts", { host, status: STATUS[shown] ?? [shown], limit: LIMIT, cursor }, stop);
    return { rows: answer.alerts, next: answer.nextCursor };
  }, [host, shown], tick + alertNews.value);
  const choice = html`<select class="control" aria-label=${t("alerts.state")} onChange=${(/** @type {any} */ event) => setParams({ state: event.target.value === "open" ? null : event.target.value })}>
    ${STATES.map((one) => html`<option value=${one} selected=${one === shown}>${t(`hosts.alerts.${one}`)}</option>`)}
  </select>`;
  return html`
    <${Card} title=${t("hosts.alerts")} note=${host} actions=${choice}>
      <${Loaded} of=${alerts} height=${280}>${(/** @type {any[]} */ rows) => html`<${AlertTable} rows=${rows} more=${alerts.more} busy=${alerts.loading} />`}<//>
    <//>`;
}

/** @param {{rows: any[], more: (() => void) | null, busy: boolean}} props */
function AlertTable({ rows, more, busy }) {
  const columns = [
    { key: "severity", title: t("alerts.severity"), render: (/** @type {any} */ one) => html`<${Severity} value=${one.severity} />` },
    { key: "type", title: t("alerts.what"), wide: true, render: (/** @type {any} */ one) => html`<b>${one.type}</b><br /><span class="soft">${one.message}</span>` },
    { key: "where", title: t("hosts.where"), sort: (/** @type {any} */ one) => one.labels.host, render: (/** @type {any} */ { labels }) => html`${labels.host ?? "–"}<br /><span class="soft">${labels.site}</span>` },
    { key: "value", title: t("alerts.value"), number: true, render: (/** @type {any} */ one) => number(one.value) },
    { key: "createdAt", title: t("alerts.since"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.createdAt)}>${when(one.createdAt)}<br /><span class="soft">${lasting((one.resolvedAt ? Date.parse(one.resolvedAt) : now.value) - Date.parse(one.createdAt))}</span></span>` },
    { key: "status", title: t("alerts.state"), render: (/** @type {any} */ one) => html`<${State} value=${one.status} />${one.acknowledgedBy && html`<br /><span class="soft">${one.acknowledgedBy}</span>`}` },
    { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<${Actions} alert=${one} resolve=${true} />` },
  ];
  return html`<${Table} caption=${t("hosts.alerts")} columns=${columns} rows=${rows} rowKey=${(/** @type {any} */ one) => one.episode ?? one.id} empty=${t("hosts.alerts.none")}
    onOpen=${(/** @type {any} */ one) => go(["alerts", one.id])} more=${more} busy=${busy} />`;
}

/** What fires on a host or a site, in short. @param {{of: any, height?: number}} props */
export function OpenAlerts({ of, height = 80 }) {
  const [all, setAll] = useState(false);
  const turn = html`<button type="button" class="link" aria-pressed=${all ? "true" : "false"} onClick=${() => setAll(!all)}>${t("hosts.alerts.more")}</button>`;
  return html`
    <${Card} title=${t("hosts.alerts")} actions=${turn}>
      <${Loaded} of=${of} height=${height}>${(/** @type {any} */ data) => {
        const shown = data.alerts.filter((/** @type {any} */ one) => all || one.status !== "resolved");
        return shown.length ? shown.map((/** @type {any} */ one) => html`<${Short} key=${one.episode} alert=${one} />`) : html`<${Empty} title=${t("overview.firing.none")} />`;
      }}<//>
    <//>`;
}

/** @param {{alert: any}} props */
function Short({ alert }) {
  const end = alert.resolvedAt ? Date.parse(alert.resolvedAt) : now.value;
  return html`
    <div class=${`alert ${alert.status === "active" ? toneOfSeverity(alert.severity) : "acked"}`}>
      <i></i>
      <div><b><a href=${to(["alerts", alert.id])}>${alert.type}</a></b><p>${alert.message}</p><${Actions} alert=${alert} resolve=${true} /></div>
      <div class="side">
        ${alert.status === "active" ? html`<${Severity} value=${alert.severity} />` : html`<${State} value=${alert.status} />`}
        <small title=${exactly(alert.createdAt)}>${t("alert.for", { time: lasting(end - Date.parse(alert.createdAt)) })}</small>
        ${alert.acknowledgedBy && html`<small>${alert.acknowledgedBy}</small>`}
      </div>
    </div>`;
}
