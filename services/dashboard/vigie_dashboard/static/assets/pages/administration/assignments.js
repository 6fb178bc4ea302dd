// Further tenants of a user: given with a role there, changed, and taken away again.
import { html, useState } from "../../core/ui.js";
import { del, get, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { tenant } from "../../core/session.js";
import { Dialog } from "../../components/dialog.js";
import { Form, Field, useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { doing, toast } from "../../components/toasts.js";
import { below } from "./data.js";
import { listed, OF_TENANT, Places, Role } from "./roles.js";

const NOTHING = { tenant: "", role: "READONLY", apps: "", sites: "" };
/** So many tenants are suggested; others can be typed. */
const SUGGESTED = 200;

/** @param {{user: any, onChange: () => void, onClose: () => void}} props */
export function Assignments({ user, onChange, onClose }) {
  const [form, setForm] = useState(NOTHING);
  const path = (/** @type {string[]} */ ...parts) => below(["users", user.id, ...parts]);
  const about = useLoad((stop) => get(path(), {}, stop), [user.id]);
  const tenants = useLoad((stop) => get("admin/tenants", { limit: SUGGESTED }, stop), []);
  const changed = () => {
    about.reload();
    onChange();
  };
  const { busy, problem, wrong, submit } = useSend(() => put(path("assignments", form.tenant.trim()), { role: form.role, ...listed(OF_TENANT, form) }), () => {
    toast(t("assign.given", { name: user.name, tenant: form.tenant.trim() }));
    setForm(NOTHING);
    changed();
  });
  const take = (/** @type {any} */ one) => doing(() => del(path("assignments", one.tenant)).then(changed), t("assign.taken", { name: user.name, tenant: one.tenant }));
  const known = (tenants.data?.tenants ?? []).map((/** @type {any} */ one) => one.id).filter((/** @type {string} */ id) => id !== tenant.value);
  const columns = [
    { key: "tenant", title: t("bar.tenant"), wide: true },
    { key: "role", title: t("user.role"), render: (/** @type {any} */ one) => t(`role.${one.role}`) },
    { key: "places", title: t("user.places"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => [...one.apps, ...one.sites].join(", ") },
    { key: "do", title: t("admin.do"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`
      <span class="acts">
        <button type="button" aria-label=${t("admin.named", { action: t("action.change"), name: one.tenant })} onClick=${() => setForm({ tenant: one.tenant, role: one.role, apps: one.apps.join("\n"), sites: one.sites.join("\n") })}>${t("action.change")}</button>
        <button type="button" aria-label=${t("admin.named", { action: t("assign.take"), name: one.tenant })} onClick=${() => take(one)}>${t("assign.take")}</button>
      </span>` },
  ];
  return html`
    <${Dialog} title=${t("assign.of", { name: user.name })} onClose=${onClose} wide>
      <p class="hint">${t("assign.text")}</p>
      <${Loaded} of=${about} height=${80}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("assign.of", { name: user.name })} columns=${columns} rows=${data.assignments} rowKey=${(/** @type {any} */ one) => one.tenant} empty=${t("assign.none")} />`}<//>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("assign.give")}>
        <div class="fields after">
          <${Field} label=${t("bar.tenant")} value=${form.tenant} onInput=${(/** @type {string} */ value) => setForm({ ...form, tenant: value })} list=${known} error=${wrong("tenant")} hint=${t("assign.again")} required autocomplete="off" />
          <${Role} roles=${OF_TENANT} value=${form.role} onInput=${(/** @type {string} */ value) => setForm({ ...form, role: value })} error=${wrong("role")} />
        </div>
        <${Places} roles=${OF_TENANT} places=${form} onInput=${setForm} wrong=${wrong} />
      <//>
    <//>`;
}
