// The newest records that nobody could process: where they were and why, not what was in them.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { bytes, t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { exactly, when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";

const SHOWN = 50;

/** @param {{written: number | undefined}} props `written`: how many there ever were; they are read again when it grows */
export function DeadLetters({ written }) {
  const dead = useLoad((stop) => get("admin/global/dead-letters", { limit: SHOWN }, stop), [written]);
  return html`
    <${Card} title=${t("pipeline.dead")} note=${t("pipeline.dead.note", { shown: SHOWN })}>
      <${Loaded} of=${dead} height=${120}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("pipeline.dead")} rows=${data.letters} empty=${t("pipeline.dead.none")}
          rowKey=${(/** @type {any} */ one) => `${one.topic}/${one.partition}@${one.offset} ${one.at} ${one.service}`} columns=${[
            { key: "at", title: t("pipeline.dead.at"), render: (/** @type {any} */ one) => html`<time title=${exactly(one.at)}>${when(one.at)}</time>` },
            { key: "place", title: t("pipeline.dead.place"), sort: (/** @type {any} */ one) => `${one.topic}/${one.partition}@${one.offset}`, render: (/** @type {any} */ one) => html`<code>${one.topic}/${one.partition}@${one.offset}</code>` },
            { key: "service", title: t("pipeline.dead.service") },
            { key: "reason", title: t("pipeline.dead.reason"), wide: true },
            { key: "bytes", title: t("pipeline.dead.bytes"), number: true, render: (/** @type {any} */ one) => bytes(one.bytes) },
          ]} />
        ${data.letters.length > 0 && html`<p class="hint after">${t("pipeline.dead.replay")} <code>vigie dead replay</code></p>`}`}<//>
    <//>`;
}
