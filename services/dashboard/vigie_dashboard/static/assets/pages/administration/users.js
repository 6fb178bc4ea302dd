// Users of the tenant, or of the platform: made, changed, given another password, removed.
import { html, useState } from "../../core/ui.js";
import { del, get, patch, post, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { usePaged } from "../../core/paged.js";
import { param, setParams } from "../../core/router.js";
import { may, me, tenant } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { toast } from "../../components/toasts.js";
import { Assignments } from "./assignments.js";
import { below, page } from "./data.js";
import { listed, OF_PLATFORM, OF_TENANT, Places, Role } from "./roles.js";

export function Users() {
  const platform = Boolean(me.value?.role) && param("home").value === "platform";
  const base = platform ? "admin/users" : below(["users"]);
  const users = usePaged((cursor, stop) => page(base, "users", cursor, stop), [base]);
  const [asking, setAsking] = useState(/** @type {{what: string, user?: any} | null} */ (null));
  const manage = may("users.manage");
  const done = (/** @type {string} */ text) => () => {
    setAsking(null);
    users.reload();
    toast(text);
  };
  const close = () => setAsking(null);
  const columns = [
    { key: "name", title: t("user.name"), wide: true },
    { key: "role", title: t("user.role"), render: (/** @type {any} */ one) => html`${t(`role.${one.role}`)}${one.assignments?.length > 0 && html` <${Badge} title=${one.assignments.map((/** @type {any} */ two) => two.tenant).join(", ")}>${t("assign.count", { count: one.assignments.length })}<//>`}${!one.active && html` <${Badge} tone="warn">${t("user.inactive")}<//>`}` },
    ...(platform ? [] : [{ key: "apps", title: t("user.places"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => [...one.apps, ...one.sites].join(", ") }]),
    { key: "created", title: t("admin.created"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.created)}>${when(one.created)}</span>` },
    ...(manage ? [{ key: "do", title: t("admin.do"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`
      <span class="acts">
        <button type="button" aria-label=${t("admin.named", { action: t("action.change"), name: one.name })} onClick=${() => setAsking({ what: "change", user: one })}>${t("action.change")}</button>
        <button type="button" aria-label=${t("admin.named", { action: t("user.password.new"), name: one.name })} onClick=${() => setAsking({ what: "password", user: one })}>${t("user.password.new")}</button>
        ${!platform && may("tenants.manage") && html`<button type="button" aria-label=${t("admin.named", { action: t("assign.tenants"), name: one.name })} onClick=${() => setAsking({ what: "tenants", user: one })}>${t("assign.tenants")}</button>`}
        <button type="button" aria-label=${t("admin.named", { action: t("action.delete"), name: one.name })} onClick=${() => setAsking({ what: "delete", user: one })}>${t("action.delete")}</button>
      </span>` }] : []),
  ];
  const choice = me.value?.role && html`
    <select class="control" aria-label=${t("user.home")} onChange=${(/** @type {any} */ event) => setParams({ home: event.target.value || null })}>
      <option value="">${t("user.home.tenant", { tenant: tenant.value })}</option>
      <option value="platform" selected=${platform}>${t("user.home.platform")}</option>
    </select>`;
  const actions = html`${choice}${manage && html`<button type="button" class="primary" onClick=${() => setAsking({ what: "add" })}>${t("user.add")}</button>`}`;
  return html`
    <div class="stack">
      <${Card} title=${t("admin.users")} actions=${actions}>
        <${Loaded} of=${users} height=${240}>${(/** @type {any[]} */ rows) => html`
          <${Table} caption=${t("admin.users")} columns=${columns} rows=${rows} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("users.none")} more=${users.more} busy=${users.loading} />`}<//>
      <//>
      ${!platform && html`<${Guests} />`}
    </div>
    ${asking?.what === "add" && html`<${NewUser} base=${base} roles=${platform ? OF_PLATFORM : OF_TENANT} done=${done} onClose=${close} />`}
    ${asking?.what === "change" && html`<${ChangeUser} base=${base} user=${asking.user} roles=${platform ? OF_PLATFORM : OF_TENANT} done=${done} onClose=${close} />`}
    ${asking?.what === "password" && html`<${NewPassword} base=${base} user=${asking.user} done=${done} onClose=${close} />`}
    ${asking?.what === "tenants" && html`<${Assignments} user=${asking.user} onChange=${users.reload} onClose=${close} />`}
    ${asking?.what === "delete" && html`<${Removal} base=${base} user=${asking.user} done=${done} onClose=${close} />`}`;
}

/** Users of other homes, who are let in here. */
function Guests() {
  const guests = useLoad((stop) => get(below(["guests"]), { limit: 1_000 }, stop), []);
  if (guests.data && !guests.data.guests.length) return null;
  const columns = [
    { key: "name", title: t("user.name"), wide: true },
    { key: "role", title: t("user.role"), render: (/** @type {any} */ one) => (one.role ? t(`role.${one.role}`) : "–") },
    { key: "places", title: t("user.places"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => [...one.apps, ...one.sites].join(", ") },
  ];
  return html`
    <${Card} title=${t("guests.title")} note=${t("guests.note")}>
      <${Loaded} of=${guests} height=${60}>${(/** @type {any} */ data) => html`<${Table} caption=${t("guests.title")} columns=${columns} rows=${data.guests} rowKey=${(/** @type {any} */ one) => one.id} />`}<//>
    <//>`;
}

/** @typedef {{base: string, user: any, roles: string[], done: (text: string) => () => void, onClose: () => void}} Asked */

/** @param {Omit<Asked, "user">} props */
function NewUser({ base, roles, done, onClose }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState(/** @type {string} */ (roles.at(-1)));
  const [places, setPlaces] = useState({ apps: "", sites: "" });
  const { busy, problem, wrong, submit } = useSend(() => post(base, { name, password, role, ...listed(roles, places) }), done(t("user.added", { name })));
  return html`
    <${Dialog} title=${t("user.add")} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("user.add")} onCancel=${onClose}>
        <${Field} label=${t("user.name")} value=${name} onInput=${setName} error=${wrong("name")} required autocomplete="off" />
        <${Field} label=${t("login.password")} type="password" value=${password} onInput=${setPassword} error=${wrong("password")} required minlength=${12} hint=${t("user.password.hint")} autocomplete="new-password" />
        <${Role} roles=${roles} value=${role} onInput=${setRole} error=${wrong("role")} />
        <${Places} roles=${roles} places=${places} onInput=${setPlaces} wrong=${wrong} />
      <//>
    <//>`;
}

/** @param {Asked} props */
function ChangeUser({ base, user, roles, done, onClose }) {
  const [role, setRole] = useState(user.role);
  const [active, setActive] = useState(user.active);
  const [places, setPlaces] = useState({ apps: user.apps.join("\n"), sites: user.sites.join("\n") });
  const { busy, problem, wrong, submit } = useSend(
    () => patch(`${base}/${encodeURIComponent(user.id)}`, { role, active, ...listed(roles, places) }), done(t("user.changed", { name: user.name })));
  return html`
    <${Dialog} title=${t("user.change", { name: user.name })} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <${Role} roles=${roles} value=${role} onInput=${setRole} error=${wrong("role")} />
        <${Places} roles=${roles} places=${places} onInput=${setPlaces} wrong=${wrong} />
        <${Field} label=${t("user.active")} type="checkbox" value=${active} onInput=${setActive} hint=${t("user.active.hint")} error=${wrong("active")} />
      <//>
    <//>`;
}

/** @param {Omit<Asked, "roles">} props */
function NewPassword({ base, user, done, onClose }) {
  const [password, setPassword] = useState("");
  const { busy, problem, wrong, submit } = useSend(() => put(`${base}/${encodeURIComponent(user.id)}/password`, { password }), done(t("user.password.done", { name: user.name })));
  return html`
    <${Dialog} title=${t("user.password.of", { name: user.name })} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <p>${t("user.password.text")}</p>
        <${Field} label=${t("login.password")} type="password" value=${password} onInput=${setPassword} error=${wrong("password")} required minlength=${12} hint=${t("user.password.hint")} autocomplete="new-password" />
      <//>
    <//>`;
}

/** @param {Omit<Asked, "roles">} props */
function Removal({ base, user, done, onClose }) {
  const { busy, problem, submit } = useSend(() => del(`${base}/${encodeURIComponent(user.id)}`), done(t("user.deleted", { name: user.name })));
  return html`<${Confirm} title=${t("user.delete", { name: user.name })} text=${t("user.delete.text")} action=${t("action.delete")} danger busy=${busy} error=${problem} onYes=${submit} onClose=${onClose} />`;
}
