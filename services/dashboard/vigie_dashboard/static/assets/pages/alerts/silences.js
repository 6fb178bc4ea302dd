// What is muted now, and will be.
import { html, useState } from "../../core/ui.js";
import { del, get, post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { may } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { State } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { doing } from "../../components/toasts.js";
import { SilenceDialog } from "./silence.js";

const EVERY_MS = 30_000;

export function Silences() {
  const [making, setMaking] = useState(false);
  const tick = useTick(EVERY_MS);
  const silences = useLoad((stop) => get("api/alerts/silences", { limit: 500 }, stop), [tick]);
  const edit = may("alerts.silence");
  /** @param {any} one @param {string} how @param {() => Promise<unknown>} work */
  const change = (one, how, work) => doing(async () => {
    await work();
    silences.reload();
  }, t(how));
  const path = (/** @type {any} */ one) => `api/alerts/silences/${encodeURIComponent(one.id)}`;
  const later = (/** @type {any} */ one) => new Date(Date.parse(one.endsAt) + 3_600_000).toISOString();
  return html`
    <${Card} title=${t("silences.all")} actions=${edit && html`<button type="button" onClick=${() => setMaking(true)}>${t("silence.new")}</button>`}>
      <${Loaded} of=${silences} height=${240}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("silences.all")} rows=${data.silences} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("silences.none")} columns=${[
          { key: "matchers", title: t("silence.matchers"), wide: true, sort: (/** @type {any} */ one) => one.matchers.join(), render: (/** @type {any} */ one) => html`${one.matchers.map((/** @type {string} */ text) => html`<code>${text}</code> `)}<br /><span class="soft">${one.comment}</span>` },
          { key: "state", title: t("alerts.state"), render: (/** @type {any} */ one) => html`<${State} value=${one.state === "active" ? "muting" : one.state} />` },
          { key: "endsAt", title: t("silence.until"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.endsAt)}>${when(one.endsAt)}</span>` },
          { key: "createdBy", title: t("silence.by") },
          { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => edit && html`<span class="actions">
            ${one.endsAt && !one.recurrence && html`<button type="button" onClick=${() => change(one, "silence.extended", () => post(`${path(one)}/extend`, { endsAt: later(one) }))}>${t("silence.extend")}</button>`}
            <button type="button" onClick=${() => change(one, "silence.ended", () => del(path(one)))}>${t("silence.end")}</button></span>` },
        ]} />`}<//>
    <//>
    ${making && html`<${SilenceDialog} onClose=${() => setMaking(false)} onDone=${silences.reload} />`}`;
}
