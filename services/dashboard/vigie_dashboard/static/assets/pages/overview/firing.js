// What fires now: what, where, since when, and who has it.
import { html } from "../../core/ui.js";
import { post } from "../../core/api.js";
import { lasting, t } from "../../core/i18n.js";
import { open } from "../../core/firing.js";
import { to } from "../../pages.js";
import { may } from "../../core/session.js";
import { clock, exactly, now } from "../../core/time.js";
import { Badge, Severity, toneOfSeverity } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Empty, Loading } from "../../components/states.js";
import { doing } from "../../components/toasts.js";

const SHOWN = 6;
const RANK = ["critical", "error", "high", "warning", "medium", "low", "info"];

export function Firing() {
  const all = open.value;
  const sorted = [...(all?.values() ?? [])].sort((a, b) => order(a) - order(b) || Date.parse(b.createdAt) - Date.parse(a.createdAt));
  const acknowledged = sorted.filter((one) => one.status === "acknowledged").length;
  const note = all && t("overview.firing.note", { firing: sorted.length - acknowledged, acknowledged });
  return html`
    <${Card} title=${t("overview.firing")} note=${note} link=${to("alerts")} linkText=${t("overview.firing.all")} class="firing">
      ${all === null && html`<${Loading} height=${120} />`}
      ${all !== null && !sorted.length && html`<${Empty} title=${t("overview.firing.none")} />`}
      ${sorted.slice(0, SHOWN).map((one) => html`<${Alert} key=${one.id} alert=${one} />`)}
      ${sorted.length > SHOWN && html`<p class="more-rows"><a href=${to("alerts")}>${t("overview.firing.more", { count: sorted.length - SHOWN })}</a></p>`}
    <//>`;
}

/** @param {import("../../core/firing.js").Alert} one */
const order = (one) => (one.status === "acknowledged" ? 100 : 0) + (RANK.indexOf(one.severity) + 1 || RANK.length + 1);

/** @param {{alert: import("../../core/firing.js").Alert}} props */
function Alert({ alert }) {
  const mine = alert.status === "acknowledged";
  const tone = toneOfSeverity(alert.severity);
  return html`
    <div class=${`alert ${mine ? "acked" : tone}`}>
      <i></i>
      <div><b><a href=${to(["alerts", alert.id])}>${alert.type}</a></b><p>${alert.message}</p><p class="labels">${where(alert)}</p></div>
      <div class="side">
        ${mine ? html`<${Badge} tone="calm">${held(alert)}<//>` : html`<${Severity} value=${alert.severity} />`}
        <small title=${exactly(alert.createdAt)}>${t("alert.for", { time: lasting(now.value - Date.parse(alert.createdAt)) })}</small>
        ${!mine && may("alerts.acknowledge") && html`<button type="button" class=${tone === "bad" ? "primary" : ""} aria-label=${t("alert.acknowledge.named", { name: alert.type })}
          onClick=${() => doing(() => post(`api/alerts/${encodeURIComponent(alert.id)}/acknowledge`, {}), t("alert.acknowledged.done", { name: alert.type }))}>${t("alert.acknowledge")}</button>`}
      </div>
    </div>`;
}

/** @param {import("../../core/firing.js").Alert} alert */
function held(alert) {
  const name = alert.acknowledgedBy ?? "";
  return alert.acknowledgedUntil ? t("alert.held.until", { name, time: clock(alert.acknowledgedUntil) }) : t("alert.held", { name });
}

const HIDDEN = new Set(["alertname", "severity"]);
/** @param {import("../../core/firing.js").Alert} alert */
const where = (alert) => Object.entries(alert.labels ?? {}).filter(([name]) => !HIDDEN.has(name)).map(([name, value]) => `${name} ${value}`).join(", ");
