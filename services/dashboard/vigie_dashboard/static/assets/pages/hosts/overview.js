// All hosts: who reports and who is silent, how busy each is, and the way to each.
import { html, useState } from "../../core/ui.js";
import { number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLoad } from "../../core/load.js";
import { get } from "../../core/api.js";
import { href } from "../../core/router.js";
import { may } from "../../core/session.js";
import { to } from "../../pages.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Empty } from "../../components/states.js";
import { countFiring } from "./alerts.js";
import { LIVE_ROWS, newest, tone, worstFirst } from "./data.js";
import { Ago, Meter, percent, Tile } from "./parts.js";

const PAGE = 60;

/** @param {{hosts: any[], refresh: string | null}} props */
export function Overview({ hosts, refresh }) {
  const [most, setMost] = useState(PAGE);
  const limits = useLoad((stop) => (may("monitoring.read") ? get("stats/config", {}, stop) : Promise.resolve({})), []);
  const sum = (/** @type {string} */ name) => hosts.reduce((total, one) => total + one.totals[name], 0);
  const silent = hosts.filter((one) => one.stale).length;
  const busiest = (/** @type {string} */ part) => hosts.filter((one) => !one.stale).reduce((most, one) => ((one[part].percent ?? -1) > (most?.[part].percent ?? -1) ? one : most), /** @type {any} */ (null));
  const [cpu, memory] = [busiest("cpu"), busiest("memory")];
  return html`
    <div class="tiles">
      <${Tile} name=${t("hosts.tile.hosts")} value=${number(hosts.length - silent)} tone=${silent ? "bad" : ""} note=${silent ? t("hosts.tile.silent", { count: silent }) : t("hosts.tile.all")} />
      <${Tile} name=${t("hosts.tile.services")} value=${number(sum("servicesRunning"))} tone=${sum("servicesRunning") < sum("services") ? "warn" : ""} note=${t("hosts.tile.services.of", { total: sum("services"), count: sum("sites") })} />
      <${Tile} name=${t("hosts.tile.cpu")} value=${percent(cpu?.cpu.percent)} tone=${tone(cpu?.cpu.percent, limits.data?.alertThresholds?.cpu)} note=${cpu?.host} />
      <${Tile} name=${t("hosts.tile.memory")} value=${percent(memory?.memory.percent)} tone=${tone(memory?.memory.percent, limits.data?.alertThresholds?.memory)} note=${memory?.host} />
      ${may("alerts.read") && html`<${Tile} name=${t("hosts.tile.alerts")} value=${number(countFiring(null))} tone=${countFiring(null) ? "bad" : ""} note=${t("hosts.tile.alerts.note")} />`}
    </div>
    <${Card} title=${t("hosts.all")} note=${t("hosts.count", { count: hosts.length })}>
      <ul class="rows">${[...hosts].sort(worstFirst).slice(0, most).map((one, n) => html`
        <${Row} key=${one.host} host=${one} live=${n < LIVE_ROWS} refresh=${refresh} limits=${limits.data?.alertThresholds} />`)}</ul>
      ${hosts.length > most && html`<p class="more-rows"><button type="button" onClick=${() => setMost(most + PAGE)}>${t("table.more")} (${number(hosts.length - most)})</button></p>`}
    <//>`;
}

/** @param {{host: any, live: boolean, refresh: string | null, limits: any}} props */
function Row({ host: read, live, refresh, limits }) {
  return live ? html`<${Live} read=${read} refresh=${refresh} limits=${limits} />` : html`<${Line} host=${read} refresh=${refresh} limits=${limits} />`;
}

/** @param {{read: any, refresh: string | null, limits: any}} props */
function Live({ read, refresh, limits }) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  useLive("server", { host: read.host }, (message) => message.type === "serverStats" && setTold(message.data));
  return html`<${Line} host=${newest(read, told)} refresh=${refresh} limits=${limits} />`;
}

/** @param {{host: any, refresh: string | null, limits: any}} props */
const Line = ({ host, refresh, limits }) => html`
  <li class="host">
    <span class="what"><a href=${href("hosts", { host: host.host, refresh })}>${host.host}</a><small>${t("hosts.line", { count: host.totals.sites, running: host.totals.servicesRunning, total: host.totals.services })}</small></span>
    ${["cpu", "memory", "disk"].map((part) => html`
      <span class="gauge" key=${part}><small>${t(`hosts.${part}`)}</small><b>${percent(host[part].percent)}</b><${Meter} value=${host[part].percent} tone=${tone(host[part].percent, limits?.[part])} /></span>`)}
    <span class="gauge"><small>${t("hosts.load")}</small><b>${number(host.cpu.loadAvg?.one)}</b></span>
    <span class="state"><${Badge} tone=${host.stale ? "bad" : "ok"}>${t(host.stale ? "hosts.is.silent" : "hosts.is.reporting")}<//><small><${Ago} at=${host.timestamp} /></small></span>
  </li>`;

/** Nothing has reported yet: how to begin. */
export const NoHosts = () => html`
  <${Card} title=${t("hosts.all")}>
    <${Empty} title=${t("hosts.none")} height=${180}>
      <p>${t("hosts.none.how")}</p>
      <pre>vigie key create --tenant default --scope agent --host web-1{"\n"}vigie-agent install --url ${document.baseURI} --host web-1</pre>
      ${may("keys.manage") && html`<a href=${to(["administration", "keys"])}>${t("hosts.none.key")}</a>`}
    <//>
  <//>`;
