// Five numbers of this minute, each with its unit and how it differs.
import { html } from "../../core/ui.js";
import { number, t } from "../../core/i18n.js";
import { to } from "../../pages.js";
import { Chart } from "../../components/chart.js";
import { added, change, percent, rate, whole } from "./data.js";

/** @typedef {import("./data.js").Change} Change */
/** @typedef {import("../../components/chart.js").Point} Point */

/** @param {{range: import("../../core/time.js").Range, data: any, yesterday: any, moment: any, error: any}} props */
export function Tiles({ range, data, yesterday, moment, error }) {
  const now = range.to;
  const money = mostEarned(moment?.revenuePerMinute);
  /** @param {any} from @returns {Record<string, Point[]>} */
  const rows = (from) => {
    if (!from) return { bookings: [], revenue: [], requests: [], errors: [], p95: [] };
    const until = from === data ? now : now;
    const requests = added(from.requests, until);
    return {
      bookings: rate(from.bookings, "created", 60, until),
      revenue: rate(from.revenue, money?.currency ?? "", 3600, until),
      requests,
      errors: percent(added(from.errors, until), requests),
      p95: whole(from.latency, from.latency.series.find((/** @type {any} */ one) => one.name === "p95")?.points ?? [], until),
    };
  };
  const [today, before] = [rows(data), rows(yesterday)];
  const latency = moment?.latency?.p95Seconds;
  const tile = (/** @type {string} */ name, /** @type {any} */ value, /** @type {string} */ unit, /** @type {string} */ color, /** @type {string} */ expr, /** @type {boolean | null} */ more, /** @type {"percent" | "points" | "ms"} */ as) => html`
    <${Tile} name=${name} value=${value} unit=${unit} color=${color} expr=${expr} more=${more} as=${as} range=${range}
      points=${today[name]} change=${data && change(today[name], before[name], now)} waiting=${!moment && !error} />`;
  return html`
    <section class="tiles" aria-label=${t("overview.tiles")}>
      ${tile("bookings", number(moment?.bookingsPerMinute), "/min", "series-1", "sum(rate(bookings_created_total[5m])) * 60", true, "percent")}
      ${tile("revenue", number(money ? money.revenue * 60 : null, 0), money ? ` ${money.currency}/h` : "", "series-2", "sum by (currency) (rate(booking_revenue_total[5m])) * 3600", true, "percent")}
      ${tile("requests", number(moment?.requestsPerSecond), "/s", "series-1", "sum(rate(http_requests_total[5m]))", null, "percent")}
      ${tile("errors", number(moment?.errorRatePercent), " %", "series-5", 'sum(rate(http_requests_total{status=~"[45].."}[5m])) / sum(rate(http_requests_total[5m])) * 100', false, "points")}
      ${tile("p95", number(latency === null || latency === undefined ? null : latency * 1000, 0), " ms", "series-3", "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", false, "ms")}
    </section>`;
}

/** The currency that brings most. @param {any[] | undefined} revenue */
const mostEarned = (revenue) => [...(revenue ?? [])].sort((a, b) => (b.revenue ?? 0) - (a.revenue ?? 0))[0];

/** @param {any} props */
function Tile({ name, value, unit, color, expr, more, as, range, points, change, waiting }) {
  const title = t(`overview.tile.${name}`);
  const spark = [{ label: title, points, color, fill: true }];
  return html`
    <article class="card tile">
      <h2 class="name"><a href=${to("explore", { expr })}>${title}</a></h2>
      <div class=${`value ${waiting ? "waiting" : ""}`}>${value}<small>${unit}</small></div>
      <div class="spark" aria-hidden="true"><${Chart} label=${title} lines=${spark} from=${range.from} to=${range.to} height=${40} zoom=${false} spark=${true} /></div>
      <div class="delta">${change ? html`<${Delta} change=${change} more=${more} as=${as} />` : t("overview.delta.none")}</div>
    </article>`;
}

/** @param {{change: Change, more: boolean | null, as: "percent" | "points" | "ms"}} props `more`: whether more is better */
function Delta({ change, more, as }) {
  const by = change.now - change.then;
  const exact = as === "percent" ? (change.then ? (by / change.then) * 100 : null) : as === "ms" ? by * 1000 : by;
  const shown = exact !== null && Math.abs(exact) < (as === "ms" ? 0.5 : 0.05) ? 0 : exact;
  const text = shown === null ? "–" : `${shown > 0 ? "+" : ""}${number(shown, as === "ms" ? 0 : 1)}${as === "percent" ? " %" : as === "ms" ? " ms" : ""}`;
  const good = more === null || !shown || Math.abs(shown) < 0.05 ? "" : by > 0 === more ? "up" : "down";
  return html`<b class=${good}>${text}</b> ${t(`overview.delta.${change.since}`)}`;
}
