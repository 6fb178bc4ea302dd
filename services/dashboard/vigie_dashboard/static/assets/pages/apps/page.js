// The apps one may see, or one of them.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { usePaged } from "../../core/paged.js";
import { useTick } from "../../core/load.js";
import { go, route, setParams } from "../../core/router.js";
import { exactly, now } from "../../core/time.js";
import { to } from "../../pages.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { App } from "./app.js";

const PAGE = 1_000;

export default function Apps() {
  const id = route.value.segments[1];
  return id === undefined ? html`<${AppList} />` : html`<${App} key=${id} id=${id} />`;
}

const EVERY_MS = 60_000;

function AppList() {
  const tick = useTick(EVERY_MS);
  const q = route.value.params.get("q") ?? "";
  const apps = usePaged(async (cursor, stop) => {
    const answer = await get("api/apps", { limit: PAGE, cursor }, stop);
    return { rows: answer.apps, next: answer.nextCursor };
  }, [], tick);
  const part = q.trim().toLowerCase();
  const columns = [
    { key: "appId", title: t("app.id"), wide: true, render: (/** @type {any} */ one) => html`<a href=${to(["apps", one.appId])}>${one.appId}</a>` },
    { key: "lastReport", title: t("app.last"), render: (/** @type {any} */ one) => html`<time datetime=${one.lastReport} title=${exactly(one.lastReport)}>${t("app.ago", { time: lasting(now.value - Date.parse(one.lastReport)) })}</time>` },
    { key: "firstReport", title: t("app.first"), render: (/** @type {any} */ one) => exactly(one.firstReport) },
    { key: "reports", title: t("app.reports"), number: true, render: (/** @type {any} */ one) => number(one.reports) },
  ];
  return html`
    <${Card} title=${t("nav.apps")} note=${apps.data && t("app.count", { count: apps.data.length })}>
      <div class="filters" role="search"><input class="control" type="search" aria-label=${t("health.search")} placeholder=${t("health.search")} value=${q} onInput=${(/** @type {any} */ event) => setParams({ q: event.target.value || null })} /></div>
      <${Loaded} of=${apps} height=${240}>${(/** @type {any[]} */ rows) => html`
        <${Table} caption=${t("nav.apps")} columns=${columns} rows=${rows.filter((one) => one.appId.toLowerCase().includes(part))} rowKey=${(/** @type {any} */ one) => one.appId}
          onOpen=${(/** @type {any} */ one) => go(["apps", one.appId])} empty=${t(part ? "app.nothing" : "app.none")} more=${apps.more} busy=${apps.loading} />`}<//>
    <//>`;
}
