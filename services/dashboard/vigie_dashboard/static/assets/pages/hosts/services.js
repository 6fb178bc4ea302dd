// Services of a host or a site: what systemd says of them, live, and what one may do with them.
import { html, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { bytes, seconds, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLoad } from "../../core/load.js";
import { may } from "../../core/session.js";
import { Badge } from "../../components/badge.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { Control } from "./control.js";
import { actionsOn, newest, toneOfService } from "./data.js";
import { during } from "./parts.js";

/** The services of a site, or of a host when none is named; live. @param {{host: string, site?: string, tick: number}} of */
export function useServices({ host, site, tick }) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  const read = useLoad((stop) => (site === undefined ? get("stats/services", { host }, stop) : get(`stats/services/${encodeURIComponent(site)}`, {}, stop)), [host, site, tick]);
  useLive("services", site === undefined ? { host } : { siteId: site }, (message) => message.type === "serviceStatus" && setTold(message.data));
  return { ...read, data: read.data && newest(read.data, told) };
}

/** What else is known of it. @param {any} service @param {boolean} withSite */
const more = ({ site, restarts, cpuTimeMs }, withSite) => [
  withSite && site, restarts !== null && t("service.restarted", { count: restarts }), cpuTimeMs !== null && t("service.cpu", { time: seconds(cpuTimeMs / 1_000) }),
].filter(Boolean).join(", ");

/** @param {{of: any, caption: string, withSite?: boolean, height?: number}} props */
export function Services({ of, caption, withSite = false, height = 120 }) {
  const [asking, setAsking] = useState(/** @type {{service: any, action: string} | null} */ (null));
  const control = may("services.control");
  const columns = [
    { key: "name", title: t("service.name"), wide: true, render: (/** @type {any} */ one) => html`<b>${one.name}</b><br /><span class="soft">${more(one, withSite)}</span>` },
    { key: "state", title: t("service.state"), render: (/** @type {any} */ one) => html`<${Badge} tone=${toneOfService(one.state)} title=${one.subState ?? ""}>${t(`service.is.${one.state}`)}<//>` },
    { key: "pid", title: "PID", number: true, render: (/** @type {any} */ one) => (one.pid ? String(one.pid) : "–") },
    { key: "memoryBytes", title: t("service.memory"), number: true, render: (/** @type {any} */ one) => bytes(one.memoryBytes) },
    { key: "uptime", title: t("service.uptime"), number: true, render: (/** @type {any} */ one) => during(one.uptime) },
    ...(control ? [{ key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => one.site && html`
      <span class="acts">${actionsOn(one.state).map((action) => html`
        <button type="button" key=${action} aria-label=${t("service.ask", { action: t(`service.${action}`), service: one.name })} onClick=${() => setAsking({ service: one, action })}>${t(`service.${action}`)}</button>`)}</span>` }] : []),
  ];
  return html`
    <${Loaded} of=${of} height=${height}>${(/** @type {any} */ data) => html`
      <${Table} caption=${caption} columns=${columns} rows=${data.services} rowKey=${(/** @type {any} */ one) => one.name} empty=${t("services.none")} />`}<//>
    ${asking && html`<${Control} site=${asking.service.site} host=${of.data?.host ?? ""} service=${asking.service} action=${asking.action} onClose=${() => setAsking(null)} />`}`;
}
