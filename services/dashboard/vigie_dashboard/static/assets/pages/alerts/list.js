// The alerts: those that are open live, those that are over when asked for.
import { html, useState } from "../../core/ui.js";
import { get, post } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { go, param, setParams } from "../../core/router.js";
import { may } from "../../core/session.js";
import { exactly, now, when } from "../../core/time.js";
import { alertNews } from "../../core/firing.js";
import { Severity, State } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Field } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { doing } from "../../components/toasts.js";
import { Acknowledge } from "./acknowledge.js";
import { SilenceDialog } from "./silence.js";

const LIMIT = 100;
const SEVERITIES = ["", "critical", "error", "high", "medium", "warning", "low", "info"];
const STATES = ["open", "active", "acknowledged", "pending", "resolved"];
const RANK = new Map(SEVERITIES.map((one, n) => [one, n]));

export function AlertList() {
  const [state, severity, words] = ["state", "severity", "q"].map((name) => param(name).value ?? "");
  const [more, setMore] = useState(/** @type {{key: string, rows: any[], cursor: string | null}} */ ({ key: "", rows: [], cursor: null }));
  const status = !state || state === "open" ? ["active", "acknowledged"] : [state];
  const match = words.split(",").map((one) => one.trim()).filter((one) => /^[a-zA-Z_]\w*!?=/.test(one));
  const key = JSON.stringify([status, severity, match, alertNews.value]);
  const ask = (/** @type {string | null} */ cursor, /** @type {AbortSignal | undefined} */ stop) => get("api/alerts", { status, severity, match, limit: LIMIT, cursor }, stop);
  const alerts = useLoad((stop) => ask(null, stop), [key]);
  const rows = [...(alerts.data?.alerts ?? []), ...(more.key === key ? more.rows : [])].filter((one) => match.length || fits(one, words));
  const cursor = more.key === key ? more.cursor : (alerts.data?.nextCursor ?? null);
  const further = async () => {
    const next = await ask(cursor, undefined);
    setMore({ key, rows: [...(more.key === key ? more.rows : []), ...next.alerts], cursor: next.nextCursor });
  };
  const counts = alerts.data?.counts;
  return html`
    <${Card} title=${t("alerts.list")} note=${counts && t("alerts.counts", { firing: counts.active, acknowledged: counts.acknowledged, pending: counts.pending })}>
      <div class="fields filters">
        <${Field} label=${t("alerts.state")} value=${state || "open"} options=${STATES.map((one) => ({ value: one, label: t(one === "open" ? "alerts.open" : `state.${one}`) }))} onInput=${(/** @type {string} */ value) => setParams({ state: value === "open" ? null : value })} />
        <${Field} label=${t("alerts.severity")} value=${severity} options=${SEVERITIES.map((one) => ({ value: one, label: one ? t(`severity.${one}`) : t("alerts.any") }))} onInput=${(/** @type {string} */ value) => setParams({ severity: value })} />
        <${Field} label=${t("alerts.search")} value=${words} hint=${t("alerts.search.hint")} onInput=${(/** @type {string} */ value) => setParams({ q: value })} />
      </div>
      <${Loaded} of=${alerts} height=${320}>${() => html`
        <${Table} caption=${t("alerts.list")} columns=${columns()} rows=${rows} rowKey=${(/** @type {any} */ one) => one.episode} empty=${t("alerts.none")}
          onOpen=${(/** @type {any} */ one) => go(["alerts", one.id])} more=${cursor ? further : null} busy=${alerts.loading} />`}<//>
    <//>`;
}

/** @param {any} one @param {string} words */
const fits = (one, words) => !words || `${one.type} ${one.message} ${Object.values(one.labels).join(" ")}`.toLowerCase().includes(words.toLowerCase());

const columns = () => [
  { key: "severity", title: t("alerts.severity"), sort: (/** @type {any} */ one) => RANK.get(one.severity), render: (/** @type {any} */ one) => html`<${Severity} value=${one.severity} />` },
  { key: "type", title: t("alerts.what"), wide: true, render: (/** @type {any} */ one) => html`<b>${one.type}</b><br /><span class="soft">${one.message}</span>` },
  { key: "value", title: t("alerts.value"), number: true, render: (/** @type {any} */ one) => number(one.value) },
  { key: "createdAt", title: t("alerts.since"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.createdAt)}>${when(one.createdAt)}<br /><span class="soft">${lasting((one.resolvedAt ? Date.parse(one.resolvedAt) : now.value) - Date.parse(one.createdAt))}</span></span>` },
  { key: "status", title: t("alerts.state"), render: (/** @type {any} */ one) => html`<${State} value=${one.status} />${one.acknowledgedBy && html`<br /><span class="soft">${one.acknowledgedBy}</span>`}` },
  { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<${Actions} alert=${one} />` },
];

/** What one may do with an alert. @param {{alert: any, resolve?: boolean}} props `resolve`: that too */
export function Actions({ alert, resolve = false }) {
  const [open, setOpen] = useState("");
  const close = () => setOpen("");
  if (alert.status === "resolved" || alert.status === "pending") return null;
  return html`
    <span class="actions">
      ${may("alerts.acknowledge") && html`<button type="button" aria-label=${t("alert.acknowledge.named", { name: alert.type })} onClick=${() => setOpen("acknowledge")}>${t("alert.acknowledge")}</button>`}
      ${may("alerts.silence") && html`<button type="button" aria-label=${t("alert.silence.named", { name: alert.type })} onClick=${() => setOpen("silence")}>${t("alert.silence")}</button>`}
      ${resolve && html`<${Resolve} alert=${alert} />`}
    </span>
    ${open === "acknowledge" && html`<${Acknowledge} alert=${alert} onClose=${close} />`}
    ${open === "silence" && html`<${SilenceDialog} labels=${alert.labels} onClose=${close} />`}`;
}

/** It is over, whatever is measured. @param {{alert: any}} props */
export const Resolve = ({ alert }) => may("alerts.resolve") && html`
  <button type="button" aria-label=${t("alert.resolve.named", { name: alert.type })} onClick=${() => doing(() => post(`api/alerts/${encodeURIComponent(alert.id)}/resolve`, {}), t("alert.resolved.done", { name: alert.type }))}>${t("alert.resolve")}</button>`;
