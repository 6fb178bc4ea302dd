// Who reads which log, and how far each partition is; and the logs themselves.
import { html } from "../../core/ui.js";
import { compact, number, t } from "../../core/i18n.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Table } from "../../components/table.js";
import { reader, short } from "./data.js";

/** @param {{readers: any[]}} props */
export const Readers = ({ readers }) => html`
  <${Card} title=${t("pipeline.readers")}>
    <${Table} caption=${t("pipeline.readers")} rows=${readers} rowKey=${reader} empty=${t("pipeline.unknown")} sort=${{ key: "lag", down: true }} columns=${[
      { key: "group", title: t("pipeline.reader"), render: (/** @type {any} */ one) => html`<b>${one.group}</b>` },
      { key: "topic", title: t("pipeline.topic"), render: (/** @type {any} */ one) => html`<code>${one.topic}</code>` },
      { key: "by", title: t("pipeline.by"), wide: true, render: (/** @type {any} */ one) => t(`pipeline.by.${one.by}`) },
      { key: "partitions", title: t("pipeline.partitions"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<${Partitions} of=${one.partitions} />` },
      { key: "lag", title: t("pipeline.lag"), number: true, render: (/** @type {any} */ one) => (one.lag ? html`<${Badge} tone="warn">${number(one.lag)}<//>` : number(0)) },
    ]} />
  <//>`;

/** A bar for each partition: read to its end or not. @param {{of: any[]}} props */
function Partitions({ of }) {
  const behind = of.filter((one) => one.lag);
  const label = t("pipeline.partitions.behind", { count: behind.length, all: of.length });
  return html`<span class="ticks small" role="img" aria-label=${label} title=${label}>${of.map((one) => html`<span key=${one.partition} class=${one.lag ? "w" : one.position === null ? "n" : ""}></span>`)}</span>`;
}

/** @param {{topics: any[], rates: Record<string, number | null>}} props */
export const Logs = ({ topics, rates }) => html`
  <${Card} title=${t("pipeline.logs")} note=${t("pipeline.logs.note")}>
    <${Table} caption=${t("pipeline.logs")} rows=${topics} rowKey=${(/** @type {any} */ one) => one.topic} empty=${t("pipeline.unknown")} columns=${[
      { key: "topic", title: t("pipeline.topic"), wide: true, render: (/** @type {any} */ one) => html`<b>${short(one.topic)}</b> <span class="soft">${one.topic}</span>` },
      { key: "partitions", title: t("pipeline.partitions"), number: true },
      { key: "replicas", title: t("pipeline.replicas"), number: true },
      { key: "health", title: t("pipeline.health"), sort: (/** @type {any} */ one) => one.leaderless * 1000 + one.behind, render: (/** @type {any} */ one) => html`<${LogHealth} log=${one} />` },
      { key: "rate", title: t("pipeline.rate"), number: true, sort: (/** @type {any} */ one) => rates[one.topic], render: (/** @type {any} */ one) => number(rates[one.topic]) },
      { key: "written", title: t("pipeline.written"), number: true, render: (/** @type {any} */ one) => html`<span title=${number(one.written, 0)}>${compact(one.written)}</span>` },
      { key: "kept", title: t("pipeline.kept"), number: true, render: (/** @type {any} */ one) => html`<span title=${number(one.kept, 0)}>${compact(one.kept)}</span>` },
    ]} />
  <//>`;

/** @param {{log: any}} props */
function LogHealth({ log }) {
  if (log.leaderless) return html`<${Badge} tone="bad">${t("pipeline.leaderless", { count: log.leaderless })}<//>`;
  if (log.behind) return html`<${Badge} tone="warn">${t("pipeline.notInSync", { count: log.behind })}<//>`;
  return html`<${Badge} tone="ok">${t("pipeline.inSync")}<//>`;
}
