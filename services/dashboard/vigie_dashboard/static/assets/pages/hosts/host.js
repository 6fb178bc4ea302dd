// One host: what it does now, live, how it was, its services, and who speaks for it.
import { html, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { bytes, number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLater, useLoad } from "../../core/load.js";
import { param } from "../../core/router.js";
import { may } from "../../core/session.js";
import { exactly, parseRange, rangeText, spoken, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Empty, Loaded } from "../../components/states.js";
import { OpenAlerts, useAlerts } from "./alerts.js";
import { Charts, ofHost, perSecondText } from "./charts.js";
import { history, last, newest, STORED_MS, tone } from "./data.js";
import { Ago, during, Meter, percent, Ranges, Tile } from "./parts.js";
import { Services, useServices } from "./services.js";

/** @typedef {import("../../core/time.js").Range} Range */

/** @param {{host: string, tick: number}} props */
export function Host({ host, tick }) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  useLive("server", { host }, (message) => message.type === "serverStats" && setTold(message.data));
  const news = useLater(told?.timestamp ?? "", STORED_MS);
  const text = rangeText.value;
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [text, tick, news]);
  const about = useLoad((stop) => get(`api/hosts/${encodeURIComponent(host)}`, {}, stop), [host, tick]);
  const stats = useLoad((stop) => get("stats/server", { host }, stop), [host, tick]);
  const past = useLoad((stop) => history("stats/server/history", range, { host }, stop), [range]);
  const limits = useLoad((stop) => (may("monitoring.read") ? get("stats/config", { host }, stop) : Promise.resolve({})), [host]);
  const alerts = useAlerts({ host }, tick);
  const services = useServices({ host, tick });
  const charts = useMemo(() => ofHost(past.data?.history ?? []), [past.data]);
  const thresholds = limits.data?.alertThresholds;
  return html`
    <${Loaded} of=${stats} height=${420}>${(/** @type {any} */ read) => html`
      <${Head} host=${newest(read, told)} about=${about.data} />
      <${Tiles} host=${newest(read, told)} charts=${charts} range=${range} limits=${thresholds} />
      <div class="grid">
        <div class="stack">
          <${Card} title=${t("hosts.history")} note=${past.data ? t("hosts.history.note", { range: spoken(range), source: t(`hosts.source.${past.data.source}`) }) : spoken(range)} actions=${html`<${Ranges} range=${range} />`}>
            <${Loaded} of=${past} height=${480}>${() => html`<${Charts} charts=${Object.values(charts)} range=${range} limits=${thresholds} alerts=${alerts.data?.alerts} />`}<//>
          <//>
          <${Card} title=${t("services.title")} note=${services.data && t("services.note", { running: services.data.running, total: services.data.total })}>
            <${Services} of=${services} caption=${t("services.title")} withSite=${true} />
          <//>
        </div>
        <div class="stack">
          <${Platform} host=${newest(read, told)} />
          <${OpenAlerts} of=${alerts} />
          <${Disks} disks=${newest(read, told).disks} />
          <${Interfaces} interfaces=${newest(read, told).network.interfaces ?? []} />
          ${about.data && html`<${Agents} about=${about.data} />`}
        </div>
      </div>`}<//>`;
}

/** @param {{host: any, about: any}} props */
const Head = ({ host, about }) => html`
  <section class="card head" aria-label=${host.host}>
    <div class="grow"><h2>${host.host}</h2><p>${[host.cpu.model, host.cpu.cores !== null && t("hosts.cores", { count: host.cpu.cores })].filter(Boolean).join(", ")}</p></div>
    <${Badge} tone=${host.stale ? "bad" : "ok"}>${t(host.stale ? "hosts.is.silent" : "hosts.is.reporting")}<//>
    <span class="soft"><${Ago} at=${host.timestamp} /></span>
    <span class="soft">${t("hosts.uptime", { time: during(host.uptime) })}</span>
    ${(about?.warnings ?? []).map((/** @type {string} */ one) => html`<p class="notice warn" key=${one}>${one}</p>`)}
  </section>`;

/** @param {{host: any, charts: any, range: Range, limits: any}} props */
function Tiles({ host, charts, range, limits }) {
  const { cpu, memory, disk } = host;
  const toneOf = (/** @type {string} */ part) => tone(host[part].percent, limits?.[part]);
  const points = (/** @type {string} */ name, n = 0) => charts[name].lines[n].points;
  const flow = (/** @type {number} */ n) => perSecondText(last(points("network", n)));
  return html`
    <div class="tiles">
      <${Tile} name=${t("hosts.cpu")} value=${percent(cpu.percent)} tone=${toneOf("cpu")} points=${points("cpu")} range=${range} note=${cpu.perCore && t("hosts.cpu.most", { value: percent(Math.max(0, ...cpu.perCore)) })} />
      <${Tile} name=${t("hosts.memory")} value=${percent(memory.percent)} tone=${toneOf("memory")} points=${points("memory")} range=${range} color="series-2" note=${t("hosts.of", { used: bytes(memory.used), total: bytes(memory.total) })} />
      <${Tile} name=${t("hosts.disk")} value=${percent(disk.percent)} tone=${toneOf("disk")} points=${points("disk")} range=${range} color="series-4" note=${t("hosts.of", { used: bytes(disk.used), total: bytes(disk.total) })} />
      <${Tile} name=${t("hosts.load")} value=${number(cpu.loadAvg?.one)} points=${points("load")} range=${range} note=${t("hosts.load.note", { five: number(cpu.loadAvg?.five), fifteen: number(cpu.loadAvg?.fifteen) })} />
      <${Tile} name=${t("hosts.network")} value=${flow(0)} points=${points("network")} range=${range} color="series-2" note=${t("hosts.network.note", { out: flow(1) })} />
    </div>`;
}

/** Counters of the platform, and of the machine. @param {{host: any}} props */
function Platform({ host }) {
  const { totals, processes, pressure, swap } = host;
  /** @type {[string, string][]} */
  const facts = [
    ["sites", number(totals.sites)], ["services", t("hosts.running.of", { running: totals.servicesRunning, total: totals.services })], ["users", number(totals.users)],
    ...(processes ? /** @type {[string, string][]} */ ([["processes", number(processes.total)], ["zombies", number(processes.zombie)]]) : []),
    ...(swap?.total ? /** @type {[string, string][]} */ ([["swap", t("hosts.of", { used: bytes(swap.used), total: bytes(swap.total) })]]) : []),
    ...["cpu", "memory", "io"].filter((one) => pressure?.[one]?.some).map((one) => /** @type {[string, string]} */ ([`pressure.${one}`, percent(pressure[one].some.avg60)])),
  ];
  return html`
    <${Card} title=${t("hosts.platform")}>
      <dl class="facts spread">${facts.map(([name, value]) => html`<dt>${t(`hosts.fact.${name}`)}</dt><dd>${value}</dd>`)}</dl>
    <//>`;
}

/** @param {{disks: any[]}} props */
const Disks = ({ disks }) => disks.length > 0 && html`
  <${Card} title=${t("hosts.disks")}>
    <ul class="rows">${disks.map((one) => html`
      <li class="volume" key=${one.mount}><span title=${[one.device, one.fsType].filter(Boolean).join(", ")}>${one.mount}</span><span class="num">${percent(one.percent)}</span><span class="num">${t("hosts.of", { used: bytes(one.used), total: bytes(one.total) })}</span><${Meter} value=${one.percent} /></li>`)}</ul>
  <//>`;

/** @param {{interfaces: any[]}} props */
const Interfaces = ({ interfaces }) => interfaces.length > 0 && html`
  <${Card} title=${t("hosts.interfaces")} note=${t("hosts.interfaces.note")}>
    <ul class="rows">${interfaces.map((one) => html`
      <li class="volume" key=${one.name}><span>${one.name}</span><span class="num">↓ <span class="sr-only">${t("hosts.network.bytesIn")} </span>${bytes(one.bytesIn)}</span><span class="num">↑ <span class="sr-only">${t("hosts.network.bytesOut")} </span>${bytes(one.bytesOut)}</span>
        ${one.errorsIn + one.errorsOut > 0 && html`<small>${t("hosts.errors", { count: one.errorsIn + one.errorsOut })}</small>`}</li>`)}</ul>
  <//>`;

/** Who speaks in the name of the host. @param {{about: any}} props */
const Agents = ({ about }) => html`
  <${Card} title=${t("agent.title")} note=${t("agent.interval", { seconds: about.interval })}>
    ${!about.agents.length && html`<${Empty} title=${t("agent.none")} />`}
    <ul class="rows">${about.agents.map((/** @type {any} */ one) => html`
      <li class="volume" key=${one.instance}><code>${one.instance}</code><span class="num" title=${exactly(one.lastReport)}>${when(one.lastReport)}</span>
        <small>${[one.version && t("agent.version", { version: one.version }), one.address, one.key].filter(Boolean).join(", ")}</small></li>`)}</ul>
    ${(about.agent.unavailable ?? []).length > 0 && html`<h3>${t("agent.unavailable")}</h3><${Unavailable} of=${about.agent.unavailable} />`}
  <//>`;

/** What could not be read, and why. @param {{of: {what: string, reason: string}[]}} props */
export const Unavailable = ({ of }) => html`<ul class="plain">${of.map((one) => html`<li key=${one.what}><code>${one.what}</code> ${one.reason}</li>`)}</ul>`;
