// One schedule: who is on call when, its layers, and who stands in for whom.
import { html, useMemo, useState } from "../../core/ui.js";
import { del, get, post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { go, href } from "../../core/router.js";
import { may } from "../../core/session.js";
import { exactly, when, zone } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { doing } from "../../components/toasts.js";
import { instant } from "../health/fields.js";
import { pathOf, spelledRestrictions } from "./oncall-data.js";
import { Removal } from "./oncall-forms.js";
import { ScheduleForm } from "./schedule-form.js";
import { Shifts, weeksFrom } from "./shifts.js";

const EVERY_MS = 60_000;
const WEEKS = 4;

/** @param {{name: string}} props */
export function ScheduleView({ name }) {
  const tick = useTick(EVERY_MS);
  const [asking, setAsking] = useState("");
  const schedule = useLoad((stop) => get(pathOf("schedules", name), {}, stop), [name, tick]);
  const version = schedule.data?.version;
  const weeks = useMemo(() => weeksFrom(Date.now(), WEEKS), [tick, zone.value]);
  const shifts = useLoad((stop) => get(pathOf("schedules", name, "/shifts"), { from: new Date(weeks[0]).toISOString(), to: new Date(weeks[WEEKS]).toISOString() }, stop), [name, version, weeks]);
  const edit = may("monitoring.configure");
  const close = () => setAsking("");
  const saved = () => {
    close();
    schedule.reload();
  };
  return html`
    <p class="crumb"><a href=${href(["alerts", "oncall"])}>${t("oncall.all")}</a></p>
    <${Loaded} of=${schedule} height=${320}>${(/** @type {any} */ one) => html`
      <section class="card head"><div class="grow"><h2>${one.name}</h2></div>
        <span>${one.now.person ? html`<${Badge} tone="ok">${t("oncall.has", { name: one.now.person })}<//>` : html`<${Badge} tone="bad">${t("oncall.nobody")}<//>`}</span>
        ${edit && html`<div class="buttons"><button type="button" class="primary" onClick=${() => setAsking("override")}>${t("override.new")}</button>
          <button type="button" onClick=${() => setAsking("change")}>${t("action.change")}</button><button type="button" onClick=${() => setAsking("remove")}>${t("action.delete")}</button></div>`}
        <p>${one.description} <span class="soft">${one.timezone}, ${t("rule.version", { version: one.version, by: one.updatedBy, when: when(one.updatedAt) })}</span></p>
      </section>
      <div class="stack">
        <${Card} title=${t("shifts.title")} note=${zone.value}>
          ${one.gaps.length > 0 && html`<p class="notice warn">${t("schedule.gaps", { count: one.gaps.length, from: when(one.gaps[0].from), to: when(one.gaps[0].to) })}</p>`}
          <${Loaded} of=${shifts} height=${240}>${(/** @type {any} */ found) => html`<${Shifts} found=${found} weeks=${weeks} />`}<//>
        <//>
        <${Card} title=${t("layers.all")} note=${t("layers.note")}><${Layers} layers=${one.layers} /><//>
        <${Card} title=${t("overrides.all")}><${Overrides} schedule=${one} edit=${edit} reload=${schedule.reload} /><//>
      </div>
      ${asking === "change" && html`<${ScheduleForm} schedule=${one} onDone=${saved} onClose=${close} />`}
      ${asking === "override" && html`<${OverrideDialog} schedule=${one} onDone=${saved} onClose=${close} />`}
      ${asking === "remove" && html`<${Removal} kind="schedules" one=${one} onDone=${() => go(["alerts", "oncall"])} onClose=${close} />`}`}<//>`;
}

/** @param {{layers: any[]}} props */
const Layers = ({ layers }) => html`
  <${Table} caption=${t("layers.all")} rows=${layers} rowKey=${(/** @type {any} */ one) => one.name} columns=${[
    { key: "name", title: t("layer.name"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<b>${one.name}</b>` },
    { key: "people", title: t("layer.people"), wide: true, sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => one.people.join(" → ") },
    { key: "rotation", tight: true, title: t("layer.rotation"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => t(`layer.every.${one.rotation.unit}`, { count: one.rotation.every }) },
    { key: "handoff", tight: true, title: t("layer.handoff"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => `${one.handoff}${one.timezone ? ` ${one.timezone}` : ""}` },
    { key: "restrictions", wide: true, title: t("layer.restrictions"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => spelledRestrictions(one.restrictions) || t("layer.always") },
  ]} />`;

/** @param {{schedule: any, edit: boolean, reload: () => void}} props */
function Overrides({ schedule, edit, reload }) {
  const remove = (/** @type {any} */ one) => doing(async () => {
    await del(pathOf("schedules", schedule.name, `/overrides/${encodeURIComponent(one.id)}`));
    reload();
  }, t("override.removed"));
  return html`
    <${Table} caption=${t("overrides.all")} rows=${schedule.overrides} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("overrides.none")} columns=${[
      { key: "person", title: t("oncall.person"), render: (/** @type {any} */ one) => html`<b>${one.person}</b>` },
      { key: "from", tight: true, title: t("shift.from"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.from)}>${when(one.from)}</span>` },
      { key: "to", tight: true, title: t("silence.until"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.to)}>${when(one.to)}</span>` },
      { key: "note", title: t("alert.note"), wide: true },
      { key: "by", title: t("oncall.by") },
      { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => edit && html`<button type="button" aria-label=${t("admin.named", { action: t("action.remove"), name: one.person })} onClick=${() => remove(one)}>${t("action.remove")}</button>` },
    ]} />`;
}

/** @param {{schedule: any, onDone: () => void, onClose: () => void}} props */
function OverrideDialog({ schedule, onDone, onClose }) {
  const people = useLoad((stop) => get("api/oncall/people", {}, stop), []);
  const [form, setForm] = useState({ person: "", from: "", to: "", note: "" });
  const names = (people.data?.people ?? []).map((/** @type {any} */ one) => one.name);
  const set = (/** @type {keyof typeof form} */ field) => (/** @type {string} */ value) => setForm((old) => ({ ...old, [field]: value }));
  const moment = (/** @type {string} */ text) => {
    const at = instant(text, zone.value);
    return at === null ? text : new Date(at).toISOString();
  };
  const { busy, problem, submit, wrong } = useSend(() => post(pathOf("schedules", schedule.name, "/overrides"),
    { person: form.person || names[0] || "", from: form.from ? moment(form.from) : "now", to: moment(form.to), note: form.note }), onDone);
  return html`
    <${Dialog} title=${t("override.new")} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <${Field} label=${t("oncall.person")} value=${form.person} onInput=${set("person")} options=${names} error=${wrong("person")} />
        <div class="fields">
          <${Field} label=${t("shift.from")} type="datetime-local" value=${form.from} onInput=${set("from")} hint=${t("override.from.hint", { zone: zone.value })} error=${wrong("from")} />
          <${Field} label=${t("silence.until")} type="datetime-local" value=${form.to} onInput=${set("to")} required error=${wrong("to")} />
        </div>
        <${Field} label=${t("alert.note")} value=${form.note} onInput=${set("note")} error=${wrong("note")} />
      <//>
    <//>`;
}
