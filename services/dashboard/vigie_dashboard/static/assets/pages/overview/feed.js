// What changed in the last hour.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { to } from "../../pages.js";
import { may } from "../../core/session.js";
import { clock, exactly } from "../../core/time.js";
import { alertNews } from "../../core/firing.js";
import { Card } from "../../components/card.js";
import { Empty, Loaded } from "../../components/states.js";
import { feed } from "./data.js";

const HOUR = 3_600_000;
const SHOWN = 12;
const EVERY_MS = 60_000;

/** @param {{incidents: any[]}} props */
export function Feed({ incidents }) {
  const tick = useTick(EVERY_MS);
  const alerts = useLoad(
    (stop) => (may("alerts.read") ? get("api/alerts", { limit: 100, since: "now-24h" }, stop) : Promise.resolve({ alerts: [] })),
    [tick, alertNews.value],
  );
  return html`
    <${Card} title=${t("overview.feed")}>
      <${Loaded} of=${alerts} height=${120}>${(/** @type {any} */ data) => {
        const events = feed(data.alerts, incidents, Date.now() - HOUR).slice(0, SHOWN);
        if (!events.length) return html`<${Empty} title=${t("overview.feed.none")} />`;
        return html`<ul class="feed">${events.map((one) => html`
          <li key=${`${one.at} ${one.kind} ${one.name}`}><time datetime=${new Date(one.at).toISOString()} title=${exactly(one.at)}>${clock(one.at)}</time>
            <span><b><a href=${to(one.href)}>${one.name}</a></b> ${t(`feed.${one.kind}`)}${one.detail && html`<small> ${one.detail}</small>`}</span></li>`)}</ul>`;
      }}<//>
    <//>`;
}
