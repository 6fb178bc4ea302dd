// Who is on call, by what, until when, and who is next.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { exactly, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";

const EVERY_MS = 60_000;

export function OnCall() {
  const tick = useTick(EVERY_MS);
  const who = useLoad((stop) => get("api/oncall", {}, stop), [tick]);
  return html`
    <${Card} title=${t("oncall.now")}>
      <${Loaded} of=${who} height=${160}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("oncall.now")} rows=${data.schedules} rowKey=${(/** @type {any} */ one) => one.schedule} empty=${t("oncall.none")} columns=${[
          { key: "schedule", title: t("oncall.schedule"), render: (/** @type {any} */ one) => html`<b>${one.schedule}</b> <span class="soft">${one.timezone}</span>` },
          { key: "person", title: t("oncall.person"), wide: true, render: (/** @type {any} */ one) => one.person ?? html`<${Badge} tone="bad">${t("oncall.nobody")}<//>` },
          { key: "by", title: t("oncall.by") },
          { key: "until", title: t("silence.until"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.until)}>${when(one.until)}</span>` },
          { key: "next", title: t("oncall.next"), sort: (/** @type {any} */ one) => one.next?.at ?? null, render: (/** @type {any} */ one) => (one.next ? html`${one.next.person}, ${when(one.next.at)}` : "–") },
        ]} />`}<//>
    <//>`;
}
