// Who changed what, when, and from where.
import { html } from "../../core/ui.js";
import { number, t } from "../../core/i18n.js";
import { usePaged } from "../../core/paged.js";
import { param, setParams } from "../../core/router.js";
import { me, tenant } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { below, changed, matching, page } from "./data.js";

export function Audit() {
  const platform = Boolean(me.value?.role) && param("home").value === "platform";
  const wanted = { q: param("q").value ?? "", kind: param("kind").value ?? "" };
  const path = platform ? "admin/audit" : below(["audit"]);
  const entries = usePaged((cursor, stop) => page(path, "entries", cursor, stop), [path]);
  const kinds = [...new Set((entries.data ?? []).map((one) => one.action.split(".")[0]))].sort();
  const columns = [
    { key: "at", title: t("audit.at"), render: (/** @type {any} */ one) => html`<time datetime=${one.at} title=${exactly(one.at)}>${when(one.at)}</time>` },
    { key: "actor", title: t("audit.actor"), sort: (/** @type {any} */ one) => one.actor.name, render: (/** @type {any} */ one) => html`<span title=${one.actor.agent}>${one.actor.name || "–"}</span><br /><small>${one.actor.address}</small>` },
    { key: "action", title: t("audit.action"), render: (/** @type {any} */ one) => html`<code>${one.action}</code>` },
    { key: "target", title: t("audit.target") },
    { key: "changes", title: t("audit.changes"), wide: true, sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`
      <ul class="changes">${changed(one.changes).map(([name, text]) => html`<li><b>${name}</b> ${text}</li>`)}</ul>` },
  ];
  const shown = matching(entries.data ?? [], wanted);
  return html`
    <${Card} title=${t("admin.audit")} note=${entries.data && t("audit.note", { shown: shown.length, loaded: entries.data.length })}>
      <div class="filters" role="search">
        <input class="control" type="search" aria-label=${t("audit.search")} placeholder=${t("audit.search")} value=${wanted.q} onInput=${(/** @type {any} */ event) => setParams({ q: event.target.value || null })} />
        <select class="control" aria-label=${t("audit.kind")} onChange=${(/** @type {any} */ event) => setParams({ kind: event.target.value || null })}>
          <option value="">${t("audit.kind.any")}</option>
          ${[...new Set([...kinds, wanted.kind])].filter(Boolean).map((one) => html`<option value=${one} selected=${one === wanted.kind}>${one}</option>`)}
        </select>
        ${me.value?.role && html`
          <select class="control" aria-label=${t("user.home")} onChange=${(/** @type {any} */ event) => setParams({ home: event.target.value || null })}>
            <option value="">${t("user.home.tenant", { tenant: tenant.value })}</option>
            <option value="platform" selected=${platform}>${t("user.home.platform")}</option>
          </select>`}
      </div>
      <${Loaded} of=${entries} height=${320}>${() => html`
        <${Table} caption=${t("admin.audit")} columns=${columns} rows=${shown} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("audit.none")} />
        ${entries.more && html`<p class="more-rows"><button type="button" disabled=${entries.loading} onClick=${entries.more}>${t("audit.older", { loaded: number(entries.data?.length) })}</button></p>`}`}<//>
    <//>`;
}
