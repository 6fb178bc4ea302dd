// All tenants: made, changed, given licences, switched off, deleted.
import { html, useState } from "../../core/ui.js";
import { del, get, patch, post } from "../../core/api.js";
import { number, t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { usePaged } from "../../core/paged.js";
import { href, param, setParams } from "../../core/router.js";
import { may } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { doing, toast } from "../../components/toasts.js";
import { below, endOfDay, LIMITS, OPEN_LIMITS, page, planOf, typedPlan } from "./data.js";

const TONES = /** @type {Record<string, any>} */ ({ active: "ok", inactive: "warn", deleted: "none" });
const STATUSES = ["", "active", "inactive", "deleted"];

export function Tenants() {
  const status = param("status").value ?? "";
  const tenants = usePaged((cursor, stop) => page("admin/tenants", "tenants", cursor, stop, status ? { status } : {}), [status]);
  const [asking, setAsking] = useState(/** @type {{what: string, tenant?: any} | null} */ (null));
  const manage = may("tenants.manage");
  const close = () => setAsking(null);
  const done = (/** @type {string} */ text) => () => {
    close();
    tenants.reload();
    toast(text);
  };
  const button = (/** @type {any} */ one, /** @type {string} */ what, /** @type {string} */ word) =>
    html`<button type="button" aria-label=${t("admin.named", { action: word, name: one.id })} onClick=${() => setAsking({ what, tenant: one })}>${word}</button>`;
  const columns = [
    { key: "id", title: t("tenant.id"), render: (/** @type {any} */ one) => (one.status === "deleted" ? one.id : html`<a href=${href(["administration", "usage"], { tenant: one.id })}>${one.id}</a>`) },
    { key: "name", title: t("tenant.name"), wide: true },
    { key: "status", title: t("tenant.status"), render: (/** @type {any} */ one) => html`<${Badge} tone=${TONES[one.status]}>${t(`tenant.is.${one.status}`)}<//>` },
    { key: "series", title: t("limit.series"), number: true, sort: (/** @type {any} */ one) => one.plan.series, render: (/** @type {any} */ one) => number(one.plan.series) },
    { key: "created", title: t("admin.created"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.created)}>${when(one.created)}</span>` },
    ...(manage ? [{ key: "do", title: t("admin.do"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => one.status !== "deleted" && html`
      <span class="acts">
        ${button(one, "change", t("action.change"))}
        ${button(one, "licences", t("licences.title"))}
        ${one.status === "inactive" && button(one, "delete", t("action.delete"))}
      </span>` }] : []),
  ];
  const choice = html`<select class="control" aria-label=${t("tenant.status")} onChange=${(/** @type {any} */ event) => setParams({ status: event.target.value || null })}>
    ${STATUSES.map((one) => html`<option value=${one} selected=${one === status}>${t(one ? `tenant.is.${one}` : "tenant.status.any")}</option>`)}
  </select>`;
  return html`
    <${Card} title=${t("admin.tenants")} actions=${html`${choice}${manage && html`<button type="button" class="primary" onClick=${() => setAsking({ what: "add" })}>${t("tenant.add")}</button>`}`}>
      <${Loaded} of=${tenants} height=${240}>${(/** @type {any[]} */ rows) => html`
        <${Table} caption=${t("admin.tenants")} columns=${columns} rows=${rows} rowKey=${(/** @type {any} */ one) => one.id} more=${tenants.more} busy=${tenants.loading} />`}<//>
    <//>
    ${asking?.what === "add" && html`<${NewTenant} done=${done} onClose=${close} />`}
    ${asking?.what === "change" && html`<${ChangeTenant} tenant=${asking.tenant} done=${done} onClose=${close} />`}
    ${asking?.what === "licences" && html`<${Licences} tenant=${asking.tenant} onClose=${close} />`}
    ${asking?.what === "delete" && html`<${Removal} tenant=${asking.tenant} done=${done} onClose=${close} />`}`;
}

/** @param {{done: (text: string) => () => void, onClose: () => void}} props */
function NewTenant({ done, onClose }) {
  const [id, setId] = useState("");
  const [name, setName] = useState("");
  const [plan, setPlan] = useState(/** @type {Record<string, any>} */ ({}));
  const { busy, problem, wrong, submit } = useSend(() => {
    const said = Object.fromEntries(Object.entries(planOf(plan)).filter((one) => one[1] !== null));
    return post("admin/tenants", { id, name, ...(Object.keys(said).length ? { plan: said } : {}) });
  }, done(t("tenant.added", { id })));
  return html`
    <${Dialog} title=${t("tenant.add")} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("tenant.add")} onCancel=${onClose}>
        <${Field} label=${t("tenant.id")} value=${id} onInput=${setId} error=${wrong("id")} required mono hint=${t("tenant.id.hint")} />
        <${Field} label=${t("tenant.name")} value=${name} onInput=${setName} error=${wrong("name")} required />
        <${Plan} plan=${plan} onInput=${setPlan} wrong=${wrong} hint=${t("plan.new.hint")} />
      <//>
    <//>`;
}

/** @param {{tenant: any, done: (text: string) => () => void, onClose: () => void}} props */
function ChangeTenant({ tenant, done, onClose }) {
  const [name, setName] = useState(tenant.name);
  const [active, setActive] = useState(tenant.status === "active");
  const [plan, setPlan] = useState(() => typedPlan(tenant.plan));
  const { busy, problem, wrong, submit } = useSend(
    () => patch(below([], tenant.id), { name, status: active ? "active" : "inactive", plan: planOf(plan) }), done(t("tenant.changed", { id: tenant.id })));
  return html`
    <${Dialog} title=${t("tenant.change", { id: tenant.id })} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <${Field} label=${t("tenant.name")} value=${name} onInput=${setName} error=${wrong("name")} required />
        <${Field} label=${t("tenant.active")} type="checkbox" value=${active} onInput=${setActive} error=${wrong("status")} hint=${t("tenant.active.hint")} />
        <${Plan} plan=${plan} onInput=${setPlan} wrong=${wrong} hint=${t("plan.hint")} />
      <//>
    <//>`;
}

/** @param {{plan: Record<string, any>, onInput: (plan: any) => void, wrong: (field: string) => string, hint: string}} props */
const Plan = ({ plan, onInput, wrong, hint }) => html`
  <fieldset><legend>${t("plan.title")}</legend>
    <p class="hint">${hint}</p>
    <div class="fields">${LIMITS.map((name) => html`
      <${Field} key=${name} label=${t(`limit.${name}`)} type="number" min=${0} value=${plan[name] ?? ""} placeholder=${OPEN_LIMITS.has(name) ? t("limit.none") : ""}
        onInput=${(/** @type {string} */ value) => onInput({ ...plan, [name]: value })} error=${wrong(`plan.${name}`)} />`)}</div>
  </fieldset>`;

/** @param {{tenant: any, done: (text: string) => () => void, onClose: () => void}} props */
function Removal({ tenant, done, onClose }) {
  const { busy, problem, submit } = useSend(() => del(below([], tenant.id)), done(t("tenant.deleted", { id: tenant.id })));
  return html`<${Confirm} title=${t("tenant.delete", { id: tenant.id })} text=${t("tenant.delete.text")} action=${t("action.delete")} danger busy=${busy} error=${problem} onYes=${submit} onClose=${onClose} />`;
}

/** @param {{tenant: any, onClose: () => void}} props */
function Licences({ tenant, onClose }) {
  const path = below(["licences"], tenant.id);
  const licences = useLoad((stop) => get(path, { limit: 1_000 }, stop), []);
  const [product, setProduct] = useState("");
  const [day, setDay] = useState("");
  const { busy, problem, wrong, submit } = useSend(() => post(path, { product, expires: endOfDay(day) }), () => {
    setProduct("");
    licences.reload();
  });
  const manage = may("licences.manage");
  const over = (/** @type {any} */ one) => Date.parse(one.expires) <= Date.now();
  const columns = [
    { key: "product", title: t("licence.product"), wide: true },
    { key: "expires", title: t("licence.expires"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.expires)}>${exactly(one.expires)}</span>` },
    { key: "do", title: t("admin.do"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => manage && !over(one) && html`
      <button type="button" aria-label=${t("admin.named", { action: t("licence.end"), name: one.product })}
        onClick=${async () => (await doing(() => del(`${path}/${encodeURIComponent(one.id)}`), t("licence.ended", { product: one.product }))) && licences.reload()}>${t("licence.end")}</button>` },
  ];
  return html`
    <${Dialog} title=${t("licences.of", { id: tenant.id })} onClose=${onClose} wide>
      <${Loaded} of=${licences} height=${120}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("licences.title")} columns=${columns} rows=${data.licences} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("licences.none")} />`}<//>
      ${manage && html`
        <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("licence.give")}>
          <div class="fields">
            <${Field} label=${t("licence.product")} value=${product} onInput=${setProduct} error=${wrong("product")} required />
            <${Field} label=${t("licence.expires")} type="date" value=${day} onInput=${setDay} error=${wrong("expires")} required />
          </div>
        <//>`}
    <//>`;
}
