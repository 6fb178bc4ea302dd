// One site: what it uses and used, its services, and what is known of it. In the list of sites and in the panel of its people.
import { html, useEffect, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { bytes, number, t } from "../../core/i18n.js";
import { listen } from "../../core/live.js";
import { useLater, useLoad } from "../../core/load.js";
import { param } from "../../core/router.js";
import { parseRange, rangeText } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Loaded } from "../../components/states.js";
import { Charts, ofSite } from "./charts.js";
import { history, newest, portsText, stateOf, STORED_MS } from "./data.js";
import { Unavailable } from "./host.js";
import { during, percent } from "./parts.js";

/** What a site's host told of it last, laid over what was read. @param {any} read @param {boolean} [live] */
export function useSite(read, live = true) {
  const [told, setTold] = useState(/** @type {any} */ (null));
  useEffect(() => (live ? listen("site", { siteId: read.site }, (message) => message.type === "siteStats" && setTold(message.data)) : undefined), [live, read.site]);
  return newest(read, told?.timestamp ? told : null);
}

/** How a site was over the range of the page. @param {string} id @param {number} tick @param {string | null | undefined} reported when it was heard of last */
export function useSitePast(id, tick, reported) {
  const news = useLater(reported ?? "", STORED_MS);
  const text = rangeText.value;
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [text, tick, news]);
  const past = useLoad((stop) => history(`stats/site/${encodeURIComponent(id)}/history`, range, {}, stop), [id, range]);
  const charts = useMemo(() => ofSite(past.data?.history ?? []), [past.data]);
  return { range, past, charts };
}

/** @param {{site: any, tick: number}} props */
export function Usage({ site, tick }) {
  const { range, past, charts } = useSitePast(site.site, tick, site.timestamp);
  return html`<${Loaded} of=${past} height=${200}>${() => html`<${Charts} charts=${charts} range=${range} />`}<//>`;
}

/** @param {{site: any}} props */
export function SiteState({ site }) {
  const [state, tone] = stateOf(site);
  return html`<${Badge} tone=${tone}>${t(`site.is.${state}`)}<//>`;
}

/** @param {{site: any}} props */
export const running = ({ site }) => t("hosts.running.of", { running: site.services.running, total: site.services.total });

/** What is known of it: domains, ports, files. @param {{site: any, more?: any}} props `more`: what only administrators see */
export const Facts = ({ site, more }) => html`
  <dl class="facts spread">
    <dt>${t("sites.host")}</dt><dd>${site.host}</dd>
    <dt>${t("sites.domains")}</dt><dd>${site.domains.join(", ") || "–"}</dd>
    <dt>${t("sites.ports")}</dt><dd>${portsText(site.ports).join(", ") || "–"}</dd>
    <dt>${t("sites.files")}</dt><dd>${number(site.disk.fileCount)}${site.disk.complete === false && html` <span class="soft">${t("sites.counting")}</span>`}</dd>
    <dt>${t("sites.disk")}</dt><dd>${limited(site.disk)}</dd>
    <dt>${t("sites.memory")}</dt><dd>${limited(site.memory)}</dd>
    <dt>${t("sites.processes")}</dt><dd>${number(site.processes)}</dd>
    <dt>${t("sites.cpu.time")}</dt><dd>${site.cpu.timeMs === null ? "–" : during(site.cpu.timeMs / 1_000)}</dd>
    ${more && html`<dt>${t("sites.account")}</dt><dd><code>${more.account}</code></dd><dt>${t("sites.directory")}</dt><dd><code>${more.directory}</code></dd>`}
  </dl>
  ${site.unavailable.length > 0 && html`<h3>${t("agent.unavailable")}</h3><${Unavailable} of=${site.unavailable} />`}`;

/** @param {{usedBytes: number | null, percent: number | null, limit: number | null}} part @returns {string} */
export const limited = (part) => (part.limit ? `${t("hosts.of", { used: bytes(part.usedBytes), total: bytes(part.limit) })} (${percent(part.percent)})` : bytes(part.usedBytes));

/** What is configured of it. @param {string} id @param {number} tick */
export const useDefinition = (id, tick) => useLoad((stop) => get(`api/sites/${encodeURIComponent(id)}`, {}, stop), [id, tick]);
