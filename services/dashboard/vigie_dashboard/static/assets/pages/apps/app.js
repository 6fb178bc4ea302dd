// One app: what it says now, its numbers over the range, and each report.
import { html, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { bytes, lasting, number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLoad, useTick } from "../../core/load.js";
import { usePaged } from "../../core/paged.js";
import { param } from "../../core/router.js";
import { exactly, now, parseRange, rangeText, spoken, when } from "../../core/time.js";
import { to as addressOf } from "../../pages.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Chart, noPoints, seriesColour } from "../../components/chart.js";
import { Empty, Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { aggregated, grouped, numbers, path, unitOf } from "./data.js";

const EVERY_MS = 15_000;
const PAGE = 25;
const SHOWN = 8;
const TITLES = /** @type {Record<string, string>} */ ({ cpu: "app.cpu", memory: "app.memory" });
/** @type {Record<string, (value: number | null) => string>} */
const FORMATS = { percent: (value) => (value === null ? "–" : `${number(value)} %`), bytes, number };

/** @param {{id: string}} props */
export function App({ id }) {
  const text = rangeText.value;
  const tick = useTick(parseRange(text, 0).live ? EVERY_MS : 0);
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [text, tick]);
  const [news, setNews] = useState(/** @type {any} */ (null));
  useLive("app", { appId: id }, (message) => setNews(message.payload));
  const drawn = useLoad((stop) => aggregated(id, range, stop), [id, range]);
  return html`
    <p class="crumb"><a href=${addressOf("apps")}>${t("nav.apps")}</a></p>
    <${Latest} id=${id} news=${news} />
    <div class="stack">
      <${Card} title=${t("app.metrics")} note=${spoken(range)}>
        <${Loaded} of=${drawn} height=${420}>${(/** @type {any} */ data) => html`<${Charts} all=${data.data} range=${range} />`}<//>
      <//>
      <${History} id=${id} range=${range} />
    </div>`;
}

/** What it said last, as it says it. @param {{id: string, news: any}} props */
function Latest({ id, news }) {
  const said = numbers(news?.metrics);
  return html`
    <section class="card head" aria-label=${id}>
      <h2 class="grow">${id}</h2>
      ${news && html`<${Badge} title=${exactly(news.timestamp)}>${t("nodes.ago", { time: lasting(now.value - Date.parse(news.timestamp)) })}<//>`}
      ${!news && html`<p>${t("app.silent")}</p>`}
    </section>
    ${said.length > 0 && html`<div class="tiles">${said.slice(0, SHOWN).map(([at, value]) => html`
      <section class="card tile" key=${at}><h2 class="name">${at}</h2><div class="value">${FORMATS[unitOf(at)](value)}</div></section>`)}</div>`}`;
}

/** @param {{all: import("./data.js").Aggregate[], range: import("../../core/time.js").Range}} props */
function Charts({ all, range }) {
  const [every, setEvery] = useState(false);
  const charts = useMemo(() => grouped(all).map(({ id, unit, of }) => ({
    id, format: FORMATS[unit], title: TITLES[id] ? t(TITLES[id]) : id,
    lines: of.map((one, n) => ({ label: one.path, color: seriesColour(n), points: one.steps.map((step) => /** @type {[number, number | null]} */ ([step.at, step.avg])) })),
  })), [all]);
  if (!charts.length) return html`<${Empty} title=${noPoints()} height=${200} />`;
  const shown = every ? charts : charts.slice(0, SHOWN);
  return html`
    <div class="pairs">${shown.map((one) => html`
      <div key=${one.id}><h3>${one.title}</h3><${Chart} label=${one.title} lines=${one.lines} from=${range.from} to=${range.to} height=${150} format=${one.format} /></div>`)}</div>
    ${charts.length > shown.length && html`<p class="more-rows"><button type="button" onClick=${() => setEvery(true)}>${t("table.more")} (${number(charts.length - shown.length)})</button></p>`}`;
}

/** @param {{id: string, range: import("../../core/time.js").Range}} props */
function History({ id, range }) {
  const reports = usePaged(async (cursor, stop) => {
    const { from, to } = parseRange(param("range").value, Date.now()); // up to the moment that it is asked for
    const answer = await get(path(id), { from: Math.floor(from), to: Math.ceil(to), limit: PAGE, cursor }, stop);
    return { rows: answer.data, next: answer.nextCursor };
  }, [id, rangeText.value]);
  const columns = [
    { key: "timestamp", title: t("audit.at"), render: (/** @type {any} */ one) => html`<time datetime=${one.timestamp} title=${exactly(one.timestamp)}>${when(one.timestamp)}</time>` },
    { key: "userId", title: t("app.user"), render: (/** @type {any} */ one) => one.userId ?? "–" },
    { key: "metrics", title: t("app.said"), wide: true, sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<code>${JSON.stringify(one.metrics)}</code>` },
  ];
  return html`
    <${Card} title=${t("nodes.reports")} note=${spoken(range)} actions=${html`<button type="button" disabled=${reports.loading} onClick=${reports.reload}>${t("app.newer")}</button>`}>
      <${Loaded} of=${reports} height=${240}>${(/** @type {any[]} */ rows) => html`
        <${Table} caption=${t("nodes.reports")} columns=${columns} rows=${rows} rowKey=${(/** @type {any} */ one) => one.id} empty=${noPoints()} more=${reports.more} busy=${reports.loading} />`}<//>
    <//>`;
}
