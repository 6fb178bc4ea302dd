// All sites: how each is, what it uses; one that is opened shows its services, its past, and what may be changed.
import { html, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { bytes, t } from "../../core/i18n.js";
import { usePaged } from "../../core/paged.js";
import { param, setParams } from "../../core/router.js";
import { may } from "../../core/session.js";
import { parseRange, spoken } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Empty, Loaded } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { LIVE_ROWS, opened, turned } from "./data.js";
import { Meter, percent, Ranges } from "./parts.js";
import { People } from "./people.js";
import { Services, useServices } from "./services.js";
import { Facts, limited, running, SiteState, Usage, useDefinition, useSite } from "./site.js";
import { SiteForm, SiteRemoval } from "./siteform.js";

const PAGE = 100;

/** @param {{host: string | null, hosts: any[], tick: number}} props */
export function Sites({ host, hosts, tick }) {
  const [adding, setAdding] = useState(false);
  const q = param("q").value ?? "";
  const open = opened(param("open").value);
  const sites = usePaged(async (cursor, stop) => {
    const answer = await get("stats/sites", { host, limit: PAGE, cursor }, stop);
    return { rows: answer.sites, next: answer.nextCursor };
  }, [host], tick);
  const edit = may("monitoring.configure");
  const done = (/** @type {any} */ made) => {
    setAdding(false);
    sites.reload();
    toast(t("site.saved", { name: made.name }));
  };
  const names = hosts.map((one) => one.host);
  const range = parseRange(param("range").value, Date.now());
  const actions = html`<${Ranges} range=${range} />${edit && html`<button type="button" class="primary" onClick=${() => setAdding(true)}>${t("site.add")}</button>`}`;
  return html`
    <${Card} title=${t("sites.all")} note=${spoken(range)} actions=${actions}>
      <div class="filters" role="search"><input class="control" type="search" aria-label=${t("sites.search")} placeholder=${t("sites.search")} value=${q} onInput=${(/** @type {any} */ event) => setParams({ q: event.target.value })} /></div>
      <${Loaded} of=${sites} height=${320}>${(/** @type {any[]} */ rows) => {
        const shown = rows.filter((one) => fits(one, q));
        if (!rows.length) return html`<${Empty} title=${t("sites.none")} height=${160}>${edit && t("sites.none.add")}<//>`;
        if (!shown.length) return html`<${Empty} title=${t("sites.nothing")} height=${160} />`;
        return html`
          <ul class="rows">${shown.map((one, n) => html`
            <${Row} key=${one.site} read=${one} live=${n < LIVE_ROWS} open=${open.includes(one.site)} tick=${tick} names=${names} reload=${sites.reload}
              turn=${() => setParams({ open: turned(open, one.site).join(",") })} />`)}</ul>
          ${sites.more && html`<p class="more-rows"><button type="button" disabled=${sites.loading} onClick=${sites.more}>${t("table.more")}</button></p>`}`;
      }}<//>
    <//>
    ${adding && html`<${SiteForm} site=${null} host=${host ?? names[0] ?? ""} hosts=${names} onDone=${done} onClose=${() => setAdding(false)} />`}`;
}

/** @param {any} site @param {string} q */
const fits = (site, q) => `${site.site} ${site.name} ${site.host} ${site.domains.join(" ")}`.toLowerCase().includes(q.trim().toLowerCase());

/** @typedef {{read: any, live: boolean, open: boolean, tick: number, names: string[], reload: () => void, turn: () => void}} RowProps */

/** @param {RowProps} props */
function Row({ read, live, open, tick, names, reload, turn }) {
  const site = useSite(read, live || open);
  const id = `site-${site.site}`;
  return html`
    <li class=${`site ${open ? "open" : ""}`}>
      <div class="line">
        <span class="what"><button type="button" class="turn" aria-expanded=${open ? "true" : "false"} aria-controls=${open ? id : undefined} onClick=${turn}>${site.name || site.site}</button><small>${[site.site === site.name ? "" : site.site, site.host].filter(Boolean).join(", ")}</small></span>
        <span class="state"><${SiteState} site=${site} /></span>
        <span class="gauge"><small>${t("sites.cpu")}</small><b>${percent(site.cpu.percent)}</b></span>
        <span class="gauge" title=${limited(site.memory)}><small>${t("sites.memory")}</small><b>${bytes(site.memory.usedBytes)}</b>${site.memory.limit && html`<${Meter} value=${site.memory.percent} />`}</span>
        <span class="gauge" title=${limited(site.disk)}><small>${t("sites.disk")}</small><b>${bytes(site.disk.usedBytes)}</b>${site.disk.limit && html`<${Meter} value=${site.disk.percent} />`}</span>
        <span class="gauge"><small>${t("sites.services")}</small><b>${running({ site })}</b></span>
      </div>
      ${open && html`<div class="inside" id=${id}><${Inside} site=${site} tick=${tick} names=${names} reload=${reload} /></div>`}
    </li>`;
}

/** @param {{site: any, tick: number, names: string[], reload: () => void}} props */
function Inside({ site, tick, names, reload }) {
  const [asking, setAsking] = useState("");
  const services = useServices({ host: site.host, site: site.site, tick });
  const definition = useDefinition(site.site, tick);
  const edit = may("monitoring.configure") && definition.data;
  const close = () => setAsking("");
  const done = (/** @type {any} */ made) => {
    close();
    toast(t("site.saved", { name: made.name }));
    definition.reload();
    reload();
  };
  const gone = () => {
    close();
    toast(t("site.deleted", { name: site.name }));
    reload();
  };
  return html`
    <div class="grid">
      <div class="stack">
        <div><h3>${t("services.title")}</h3><${Services} of=${services} caption=${t("services.of", { site: site.name })} /></div>
        <div><h3>${t("hosts.history")}</h3><${Usage} site=${site} tick=${tick} /></div>
      </div>
      <div>
        <h3>${t("sites.facts")}</h3>
        <${Facts} site=${site} more=${definition.data} />
        <div class="buttons">
          ${may("users.read") && html`<button type="button" onClick=${() => setAsking("people")}>${t("site.people")}</button>`}
          ${edit && html`<button type="button" onClick=${() => setAsking("change")}>${t("action.change")}</button>
            <button type="button" class="danger" onClick=${() => setAsking("delete")}>${t("action.delete")}</button>`}
        </div>
      </div>
    </div>
    ${asking === "people" && html`<${People} site=${site.site} name=${site.name} onClose=${close} />`}
    ${asking === "change" && html`<${SiteForm} site=${definition.data} host="" hosts=${names} onDone=${done} onClose=${close} />`}
    ${asking === "delete" && html`<${SiteRemoval} site=${site} onDone=${gone} onClose=${close} />`}`;
}
