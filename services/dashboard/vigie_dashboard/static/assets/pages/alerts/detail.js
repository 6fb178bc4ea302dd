// One alert: what it is, the number behind it, what happened to it, and why somebody was told or not.
import { html, useMemo } from "../../core/ui.js";
import { get, post } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { href } from "../../core/router.js";
import { may } from "../../core/session.js";
import { exactly, now, when } from "../../core/time.js";
import { alertNews } from "../../core/firing.js";
import { Badge, Severity, State } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Chart } from "../../components/chart.js";
import { Empty, Loaded } from "../../components/states.js";
import { doing } from "../../components/toasts.js";
import { to } from "../../pages.js";
import { byExpression } from "../explore/asking.js";
import { Actions, Resolve } from "./list.js";
import { compared } from "./condition.js";

const AROUND_MS = 1_800_000;
const EVERY_MS = 5_000;

/** @param {{id: string}} props */
export function AlertDetail({ id }) {
  const path = `api/alerts/${encodeURIComponent(id)}`;
  const alert = useLoad((stop) => get(path, {}, stop), [alertNews.value]);
  const history = useLoad((stop) => get(`${path}/history`, {}, stop), [alertNews.value]);
  return html`
    <${Loaded} of=${alert} height=${240}>${(/** @type {any} */ one) => html`
      <div class="grid">
        <div class="stack">
          <${Head} alert=${one} path=${path} />
          ${may("metrics.read") && html`<${Value} alert=${one} />`}
        </div>
        <div class="stack">
          <${Card} title=${t("alert.timeline")}><${Loaded} of=${history} height=${160}>${(/** @type {any} */ data) => html`<${Timeline} of=${data} />`}<//><//>
          <${Card} title=${t("alert.why")}><${Loaded} of=${history} height=${160}>${(/** @type {any} */ data) => html`<${Why} of=${data} path=${path} />`}<//><//>
        </div>
      </div>`}<//>`;
}

/** @param {{alert: any, path: string}} props */
function Head({ alert, path }) {
  const end = alert.resolvedAt ? Date.parse(alert.resolvedAt) : now.value;
  const safe = /^https?:\/\//.test(alert.runbook ?? "");
  return html`
    <${Card} title=${alert.type} note=${html`<${Severity} value=${alert.severity} /> <${State} value=${alert.status} />`}>
      <p>${alert.message}</p>
      <dl class="facts">
        <dt>${t("alerts.since")}</dt><dd><span title=${exactly(alert.createdAt)}>${when(alert.createdAt)}</span>, ${lasting(end - Date.parse(alert.createdAt))}</dd>
        <dt>${t("alerts.value")}</dt><dd>${number(alert.value)}</dd>
        ${alert.acknowledgedBy && html`<dt>${t("state.acknowledged")}</dt><dd>${alert.acknowledgedBy}, ${when(alert.acknowledgedAt)} ${alert.note}</dd>`}
        <dt>${t("alert.labels")}</dt><dd>${Object.entries(alert.labels).map(([name, value]) => html`<${Badge}>${name}=${value}<//> `)}</dd>
        <dt>${t("alert.expression")}</dt><dd><a href=${to("explore", { expr: alert.expression })}><code>${alert.expression}</code></a></dd>
        <dt>${t("alert.rule")}</dt><dd><a href=${may("monitoring.read") ? href(["alerts", "rules", alert.ruleId]) : undefined}>${alert.type}</a>${alert.owner && html` (${alert.owner})`}</dd>
        ${alert.runbook && html`<dt>${t("alert.runbook")}</dt><dd>${safe ? html`<a href=${alert.runbook} rel="noreferrer noopener" target="_blank">${alert.runbook}</a>` : alert.runbook}</dd>`}
      </dl>
      <div class="buttons">
        <${Actions} alert=${alert} />
        ${alert.status === "acknowledged" && may("alerts.acknowledge") && html`<button type="button" onClick=${() => doing(() => post(`${path}/unacknowledge`, {}))}>${t("alert.unacknowledge")}</button>`}
        ${alert.status !== "resolved" && html`<${Resolve} alert=${alert} />`}
      </div>
    <//>`;
}

/** The number that the rule looks at, around the alert. @param {{alert: any}} props */
function Value({ alert }) {
  const from = Date.parse(alert.createdAt) - AROUND_MS;
  const tick = useTick(alert.resolvedAt ? 0 : EVERY_MS);
  const to = useMemo(() => (alert.resolvedAt ? Date.parse(alert.resolvedAt) + AROUND_MS : Date.now()), [alert.resolvedAt, tick, alertNews.value]);
  const { expression, limits } = compared(alert.expression);
  const answer = useLoad((stop) => byExpression(expression, { from, to, live: false, text: "" }, stop), [expression, to]);
  const mark = [{ from: Date.parse(alert.createdAt), to: alert.resolvedAt ? Date.parse(alert.resolvedAt) : null, label: alert.type }];
  return html`
    <${Card} title=${t("alert.number")} note=${expression}>
      <${Loaded} of=${answer} height=${240}>${(/** @type {any} */ data) => data.lines.length
        ? html`<${Chart} label=${alert.type} lines=${data.lines.slice(0, 12).map((/** @type {any} */ one, /** @type {number} */ n) => ({ label: one.label, points: one.points, color: `series-${(n % 5) + 1}` }))} from=${from} to=${to} marks=${mark}
            thresholds=${limits.map((value) => ({ value, label: t("alert.threshold", { value }) }))} />`
        : html`<${Empty} title=${t("chart.empty")} height=${200} />`}<//>
    <//>`;
}

/** @param {{of: any}} props */
const Timeline = ({ of }) => html`
  <ol class="feed">${of.transitions.map((/** @type {any} */ one) => html`
    <li key=${one.id}><time datetime=${one.at} title=${exactly(one.at)}>${when(one.at)}</time>
      <span><${State} value=${one.toState} /> ${one.detail}${one.actor && html` <b>${one.actor}</b>`}${one.note && html`<br /><small>${one.note}</small>`}</span></li>`)}</ol>`;

/** @param {{of: any, path: string}} props */
function Why({ of, path }) {
  if (!of.why.length) return html`<${Empty} title=${t("alert.why.none")} />`;
  const dead = new Map(of.notifications.filter((/** @type {any} */ one) => one.state === "dead").map((/** @type {any} */ one) => [one.id, one]));
  return html`<ol class="feed">${of.why.map((/** @type {any} */ one, /** @type {number} */ n) => html`
    <li key=${n}><time datetime=${one.at} title=${exactly(one.at)}>${when(one.at)}</time>
      <span><${Badge}>${one.outcome}<//> ${one.sentence}
        ${dead.has(one.notification) && may("monitoring.configure") && html` <button type="button" onClick=${() => doing(() => post(`${path}/notifications/${encodeURIComponent(one.notification)}/replay`), t("alert.replayed"))}>${t("alert.replay")}</button>`}</span></li>`)}</ol>`;
}
