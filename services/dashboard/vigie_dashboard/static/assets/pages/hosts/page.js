// Hosts and sites: the panel of those who look after machines, and that of those who have a site on one.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { number, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { href, param, route, setParams } from "../../core/router.js";
import { may } from "../../core/session.js";
import { Loaded } from "../../components/states.js";
import { Tabs } from "../../components/tabs.js";
import { Alerts, countFiring } from "./alerts.js";
import { REFRESH, refreshOf } from "./data.js";
import { Host } from "./host.js";
import { NoHosts, Overview } from "./overview.js";
import { Settings } from "./settings.js";
import { Sites } from "./sites.js";
import { OwnSites } from "./own.js";

const TABS = [
  { id: "overview", permission: "server.read" },
  { id: "sites", permission: "sites.read-all" },
  { id: "alerts", permission: "alerts.read" },
  { id: "settings", permission: "monitoring.read" },
];

export default function Hosts() {
  const tick = useTick(refreshOf(param("refresh").value) * 1_000);
  return may("server.read") && may("sites.read-all") ? html`<${Panel} tick=${tick} />` : html`<${OwnSites} tick=${tick} choice=${html`<${RefreshChoice} />`} />`;
}

/** @param {{tick: number}} props */
function Panel({ tick }) {
  const tabs = TABS.filter((one) => may(one.permission));
  const tab = tabs.find((one) => one.id === (route.value.segments[1] ?? "overview")) ?? tabs[0];
  const [named, refresh] = [param("host").value, param("refresh").value];
  const hosts = useLoad((stop) => get("api/hosts", {}, stop), [tick]);
  const known = hosts.data?.hosts ?? [];
  const host = named ?? (known.length === 1 ? known[0].host : null);
  const firing = may("alerts.read") ? countFiring(host) : 0;
  return html`
    <${Tabs} label=${t("nav.hosts")} current=${tab.id}
      tabs=${tabs.map((one) => ({ id: one.id, title: t(`hosts.tab.${one.id}`), href: href(one.id === "overview" ? "hosts" : ["hosts", one.id], { host: named, refresh }), count: one.id === "alerts" && firing ? number(firing) : "" }))} />
    <div class="filters">
      <${HostChoice} hosts=${known} host=${named} only=${known.length === 1 ? known[0].host : null} />
      <${RefreshChoice} />
    </div>
    ${tab.id === "overview" && (named ? html`<${Host} key=${named} host=${named} tick=${tick} />` : html`
      <${Loaded} of=${hosts} height=${420}>${(/** @type {any} */ data) => (!data.hosts.length ? html`<${NoHosts} />`
        : host ? html`<${Host} key=${host} host=${host} tick=${tick} />`
        : html`<${Overview} hosts=${data.hosts} refresh=${refresh} />`)}<//>`)}
    ${tab.id === "sites" && html`<${Sites} key=${named ?? ""} host=${named} hosts=${known} tick=${tick} />`}
    ${tab.id === "alerts" && html`<${Alerts} host=${named} tick=${tick} />`}
    ${tab.id === "settings" && html`<${Settings} key=${named ?? ""} host=${named} />`}`;
}

/** @param {{hosts: any[], host: string | null, only: string | null}} props */
function HostChoice({ hosts, host, only }) {
  const names = [...new Set([...hosts.map((one) => one.host), ...(host ? [host] : [])])];
  const silent = new Set(hosts.filter((one) => one.stale).map((one) => one.host));
  if (only && (!host || host === only)) return null;
  return html`<select class="control" aria-label=${t("hosts.host")} onChange=${(/** @type {any} */ event) => setParams({ host: event.target.value || null }, true)}>
    <option value="" selected=${!host}>${t("hosts.all")}</option>
    ${names.map((one) => html`<option value=${one} selected=${one === host}>${silent.has(one) ? t("hosts.silent.named", { host: one }) : one}</option>`)}
  </select>`;
}

/** How often is asked again, beside what comes live. */
function RefreshChoice() {
  const now = refreshOf(param("refresh").value);
  return html`<select class="control" aria-label=${t("hosts.refresh")} onChange=${(/** @type {any} */ event) => setParams({ refresh: event.target.value })}>
    ${REFRESH.map((one) => html`<option value=${one} selected=${one === now}>${t("hosts.refresh.every", { seconds: one })}</option>`)}
  </select>`;
}
