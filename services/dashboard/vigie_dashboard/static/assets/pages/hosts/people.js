// Who sees a site: users of the tenant are assigned to it, and taken from it.
import { html, useState } from "../../core/ui.js";
import { del, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { usePaged } from "../../core/paged.js";
import { may } from "../../core/session.js";
import { below, page } from "../administration/data.js";
import { Dialog } from "../../components/dialog.js";
import { Empty, Loaded } from "../../components/states.js";
import { doing } from "../../components/toasts.js";

/** @param {{site: string, name: string, onClose: () => void}} props */
export function People({ site, name, onClose }) {
  const [q, setQ] = useState("");
  const [changed, setChanged] = useState(/** @type {Record<string, boolean>} */ ({}));
  const [busy, setBusy] = useState("");
  const users = usePaged((cursor, stop) => page(below(["users"]), "users", cursor, stop), [site]);
  const sees = (/** @type {any} */ one) => changed[one.id] ?? one.sites.includes(site);
  const turn = async (/** @type {any} */ one) => {
    const give = !sees(one);
    const path = below(["users", one.id, "sites", site]);
    setBusy(one.id);
    if (await doing(() => (give ? put(path) : del(path)), t(give ? "people.given" : "people.taken", { user: one.name, name }))) setChanged((old) => ({ ...old, [one.id]: give }));
    setBusy("");
  };
  return html`
    <${Dialog} title=${t("people.of", { name })} onClose=${onClose}>
      <p class="hint">${t("people.text")}</p>
      <div class="filters"><input class="control" type="search" aria-label=${t("people.search")} placeholder=${t("people.search")} value=${q} onInput=${(/** @type {any} */ event) => setQ(event.target.value)} /></div>
      <${Loaded} of=${users} height=${160}>${(/** @type {any[]} */ rows) => {
        const shown = rows.filter((one) => one.role !== "ADMIN" && one.name.toLowerCase().includes(q.toLowerCase()));
        if (!shown.length) return html`<${Empty} title=${t("people.none")} height=${120} />`;
        return html`<ul class="rows people">${shown.map((one) => html`
          <li key=${one.id}><label><input type="checkbox" checked=${sees(one)} disabled=${!may("users.manage") || busy === one.id} onChange=${() => turn(one)} /> ${one.name}</label> <span class="soft">${t(`role.${one.role}`)}</span></li>`)}</ul>`;
      }}<//>
      ${users.more && html`<p class="more-rows"><button type="button" disabled=${users.loading} onClick=${users.more}>${t("table.more")}</button></p>`}
    <//>`;
}
