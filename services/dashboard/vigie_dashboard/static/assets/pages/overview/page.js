// Is it well, and if not, who is on it: one screenful.
import { html, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLoad, useTick } from "../../core/load.js";
import { param } from "../../core/router.js";
import { to } from "../../pages.js";
import { may } from "../../core/session.js";
import { parseRange, rangeText, spoken } from "../../core/time.js";
import { alertNews } from "../../core/firing.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { charts } from "./data.js";
import { Bookings, Latency, Revenue } from "./charts.js";
import { Firing } from "./firing.js";
import { Feed } from "./feed.js";
import { Health } from "./health.js";
import { Tiles } from "./tiles.js";

const CHARTS_EVERY_MS = 15_000;
const DAY = 86_400_000;

export default function Overview() {
  const text = rangeText.value;
  const tick = useTick(parseRange(text, 0).live ? CHARTS_EVERY_MS : 0);
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [text, tick]);
  const drawn = useLoad((stop) => charts(range.from, range.to, stop), [text, tick]);
  const yesterday = useLoad((stop) => charts(range.from - DAY, range.to - DAY, stop).catch(() => null), [text]);
  const [moments, setMoments] = useState(0);
  useLive("summary", {}, () => setMoments((one) => one + 1));
  const realtime = useLoad((stop) => get("api/dashboard/realtime", {}, stop), [moments]);
  const incidents = useLoad((stop) => (may("services.read") ? get("api/health/incidents", { limit: 50 }, stop) : Promise.resolve({ incidents: [] })), [tick, alertNews.value]);
  const marks = (incidents.data?.incidents ?? []).map((/** @type {any} */ one) => ({
    from: Date.parse(one.started), to: one.ended ? Date.parse(one.ended) : null, label: t("overview.down", { name: one.service }),
  }));
  const shared = { range, marks, data: drawn.data, yesterday: yesterday.data };
  const note = spoken(range);
  return html`
    <${Tiles} ...${shared} moment=${realtime.data} error=${drawn.error ?? realtime.error} />
    <div class="grid">
      <div class="stack">
        <${Card} title=${t("overview.bookings")} note=${t("overview.bookings.note", { range: note })} ...${explore("sum(rate(bookings_completed_total[5m])) * 60")}>
          <${Loaded} of=${drawn} height=${236}>${() => html`<${Bookings} ...${shared} />`}<//>
        <//>
        <${Card} title=${t("overview.latency")} note=${t("overview.latency.note", { range: note })} ...${explore("histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))")}>
          <${Loaded} of=${drawn} height=${216}>${() => html`<${Latency} ...${shared} />`}<//>
        <//>
        ${may("services.read") && html`<${Health} />`}
      </div>
      <div class="stack">
        ${may("alerts.read") && html`<${Firing} />`}
        <${Card} title=${t("overview.revenue")} note=${t("overview.revenue.note", { range: note })} ...${explore("sum by (currency) (rate(booking_revenue_total[5m])) * 3600")}>
          <${Loaded} of=${drawn} height=${176}>${() => html`<${Revenue} ...${shared} />`}<//>
        <//>
        ${(may("alerts.read") || may("services.read")) && html`<${Feed} incidents=${incidents.data?.incidents ?? []} />`}
      </div>
    </div>`;
}

/** The way to an expression, where there is a page for it. @param {string} expression */
const explore = (expression) => ({ link: to("explore", { expr: expression }), linkText: t("nav.explore") });

