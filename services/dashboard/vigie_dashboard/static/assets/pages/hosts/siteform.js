// A site is added, changed, and taken away.
import { html, useState } from "../../core/ui.js";
import { del, post, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { siteOf, typedSite } from "./data.js";

/** @param {{site: any, host: string, hosts: string[], onDone: (made: any) => void, onClose: () => void}} props `site` null: a new one */
export function SiteForm({ site, host, hosts, onDone, onClose }) {
  const [form, setForm] = useState(() => ({ ...typedSite(site), ...(site ? {} : { host }) }));
  /** @type {any} */
  let made = null;
  const { busy, problem, wrong, submit } = useSend(async () => {
    const body = siteOf(form);
    made = site ? await put(`api/sites/${encodeURIComponent(site.id)}`, body) : await post("api/sites", { id: form.id.trim(), ...body });
  }, () => onDone(made));
  const bind = (/** @type {keyof typeof form} */ name, field = String(name)) => ({
    label: t(`site.${name}`), value: form[name], error: wrong(field), onInput: (/** @type {string} */ value) => setForm((old) => ({ ...old, [name]: value })),
  });
  return html`
    <${Dialog} title=${site ? t("site.change", { name: site.name }) : t("site.add")} onClose=${onClose} wide>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t(site ? "action.save" : "site.add")} onCancel=${onClose}>
        <div class="fields">
          ${!site && html`<${Field} ...${bind("id")} required mono autocomplete="off" hint=${t("site.id.hint")} />`}
          <${Field} ...${bind("name")} autocomplete="off" />
          <${Field} ...${bind("host")} required list=${hosts} autocomplete="off" hint=${site ? t("site.host.hint") : undefined} />
        </div>
        <div class="fields">
          <${Field} ...${bind("account")} required mono autocomplete="off" hint=${t("site.account.hint")} />
          <${Field} ...${bind("directory")} required mono autocomplete="off" placeholder="/var/www/sites/shop" />
        </div>
        <div class="fields">
          <${Field} ...${bind("domains")} type="textarea" rows=${2} mono hint=${t("target.lines")} />
          <${Field} ...${bind("ports")} type="textarea" rows=${2} mono placeholder="3000-3009" hint=${t("site.ports.hint")} />
        </div>
        <div class="fields">
          <${Field} ...${bind("memory", "limits.memoryBytes")} type="number" min=${0} step="any" hint=${t("site.limit.hint")} />
          <${Field} ...${bind("disk", "limits.diskBytes")} type="number" min=${0} step="any" hint=${t("site.limit.hint")} />
        </div>
      <//>
    <//>`;
}

/** @param {{site: any, onDone: () => void, onClose: () => void}} props */
export function SiteRemoval({ site, onDone, onClose }) {
  const { busy, problem, submit } = useSend(() => del(`api/sites/${encodeURIComponent(site.site)}`), onDone);
  return html`<${Confirm} title=${t("site.delete", { name: site.name })} text=${t("site.delete.text")} action=${t("action.delete")} danger busy=${busy} error=${problem} onYes=${submit} onClose=${onClose} />`;
}
