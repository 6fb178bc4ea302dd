// The panel of those who have sites: one of them at a time, its services, its alerts, and how busy its machine is.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { number, t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { param, setParams } from "../../core/router.js";
import { may } from "../../core/session.js";
import { spoken } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Empty, Loaded } from "../../components/states.js";
import { OpenAlerts, useAlerts } from "./alerts.js";
import { Charts } from "./charts.js";
import { stateOf } from "./data.js";
import { Ago, Meter, percent, Ranges, Tile } from "./parts.js";
import { Services, useServices } from "./services.js";
import { Facts, limited, running, SiteState, useSite, useSitePast } from "./site.js";

const MOST = 1_000;

/** @param {{tick: number, choice: any}} props */
export function OwnSites({ tick, choice }) {
  const sites = useLoad((stop) => get("api/sites", { limit: MOST }, stop), [tick]);
  const named = param("site").value;
  return html`
    <${Loaded} of=${sites} height=${420}>${(/** @type {any} */ data) => {
      if (!data.sites.length) return html`<${Card} title=${t("nav.hosts")}><${Empty} title=${t("own.none")} height=${180}><p>${t("own.none.how")}</p><//><//>`;
      const id = named ?? data.sites[0].id;
      return html`
        <div class="filters">
          ${data.sites.length > 1 && html`<select class="control" aria-label=${t("own.site")} onChange=${(/** @type {any} */ event) => setParams({ site: event.target.value }, true)}>
            ${data.sites.map((/** @type {any} */ one) => html`<option value=${one.id} selected=${one.id === id}>${one.name}</option>`)}</select>`}
          ${choice}
        </div>
        <${OwnSite} key=${id} id=${id} tick=${tick} />`;
    }}<//>`;
}

/** @param {{id: string, tick: number}} props */
function OwnSite({ id, tick }) {
  const read = useLoad((stop) => get(`stats/site/${encodeURIComponent(id)}`, {}, stop), [id, tick]);
  return html`<${Loaded} of=${read} height=${420}>${(/** @type {any} */ data) => html`<${Shown} read=${data} tick=${tick} />`}<//>`;
}

/** @param {{read: any, tick: number}} props */
function Shown({ read, tick }) {
  const site = useSite(read);
  const { range, past, charts } = useSitePast(site.site, tick, site.timestamp);
  const services = useServices({ host: site.host, site: site.site, tick });
  const alerts = useAlerts({ siteId: site.site }, tick);
  const machine = useLoad((stop) => get("stats/system", { host: site.host }, stop).catch(() => null), [site.host, tick]);
  const [, tone] = stateOf(site);
  const toneOf = tone === "bad" || tone === "warn" ? tone : "";
  return html`
    <section class="card head" aria-label=${site.name}>
      <div class="grow"><h2>${site.name}</h2><p>${site.domains.join(", ")}</p></div>
      <${SiteState} site=${site} />
      ${site.timestamp && html`<span class="soft"><${Ago} at=${site.timestamp} /></span>`}
    </section>
    <div class="tiles four">
      <${Tile} name=${t("sites.cpu")} value=${percent(site.cpu.percent)} points=${charts[0].lines[0].points} range=${range} note=${t("own.cpu.note")} />
      <${Tile} name=${t("sites.memory")} value=${limited({ ...site.memory, limit: null })} points=${charts[1].lines[0].points} range=${range} color="series-2" note=${site.memory.limit ? limited(site.memory) : t("own.unlimited")} />
      <${Tile} name=${t("sites.disk")} value=${limited({ ...site.disk, limit: null })} note=${html`${t("own.files", { count: site.disk.fileCount ?? 0 })}${site.disk.limit && html` <${Meter} value=${site.disk.percent} />`}`} />
      <${Tile} name=${t("sites.services")} value=${running({ site })} tone=${toneOf} note=${site.services.failed ? t("own.failed", { count: site.services.failed }) : t("own.processes", { count: site.processes ?? 0 })} />
    </div>
    <div class="grid">
      <div class="stack">
        <${Card} title=${t("services.title")} note=${t("services.note", { running: site.services.running, total: site.services.total })}>
          <${Services} of=${services} caption=${t("services.of", { site: site.name })} />
        <//>
        <${Card} title=${t("hosts.history")} note=${spoken(range)} actions=${html`<${Ranges} range=${range} />`}>
          <${Loaded} of=${past} height=${200}>${() => html`<${Charts} charts=${charts} range=${range} />`}<//>
        <//>
      </div>
      <div class="stack">
        ${may("alerts.read") && html`<${OpenAlerts} of=${alerts} />`}
        <${Card} title=${t("sites.facts")}><${Facts} site=${site} /><//>
        ${machine.data && html`<${Card} title=${t("own.machine")} note=${site.host}>
          <ul class="rows">${["cpu", "memory", "disk"].map((part) => html`<li class="volume" key=${part}><span>${t(`hosts.${part}`)}</span><span class="num">${percent(machine.data[part].percent)}</span><${Meter} value=${machine.data[part].percent} /></li>`)}</ul><//>`}
      </div>
    </div>`;
}
