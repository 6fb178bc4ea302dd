// Who is on call, now and then; the schedules, who is told when nobody acknowledges, and how people are reached.
import { html, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { go, href } from "../../core/router.js";
import { may } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { ONCALL } from "./oncall-data.js";
import { ChainForm, PersonForm, Removal } from "./oncall-forms.js";
import { later } from "./routes.js";
import { ScheduleForm } from "./schedule-form.js";

const EVERY_MS = 60_000;
const AT = ["now", "now+8h", "now+24h", "now+168h"];

export function OnCall() {
  const tick = useTick(EVERY_MS);
  const [at, setAt] = useState("now");
  const [asking, setAsking] = useState(/** @type {{what: string, one?: any} | null} */ (null));
  const read = may("monitoring.read");
  const edit = may("monitoring.configure");
  const who = useLoad((stop) => get(ONCALL, { at }, stop), [tick, at]);
  const nothing = () => Promise.resolve(null);
  const chains = useLoad((stop) => (read ? get(`${ONCALL}/chains`, {}, stop) : nothing()), [tick]);
  const people = useLoad((stop) => (read ? get(`${ONCALL}/people`, {}, stop) : nothing()), [tick]);
  const close = () => setAsking(null);
  const done = () => {
    close();
    for (const one of [who, chains, people]) one.reload();
  };
  const ask = (/** @type {string} */ what, /** @type {any} */ one = null) => setAsking({ what, one });
  const present = Object.fromEntries((who.data?.schedules ?? []).map((/** @type {any} */ one) => [one.schedule, one.person]));
  return html`
    <div class="stack">
      <${Now} who=${who} at=${at} setAt=${setAt} read=${read} onNew=${edit ? () => ask("schedule") : null} />
      ${read && html`<${Chains} chains=${chains} present=${present} edit=${edit} ask=${ask} /><${People} people=${people} edit=${edit} ask=${ask} />`}
    </div>
    ${asking?.what === "schedule" && html`<${ScheduleForm} schedule=${null} onDone=${(/** @type {any} */ made) => { close(); if (made) go(["alerts", "oncall", made.name]); else done(); }} onClose=${close} />`}
    ${asking?.what === "person" && html`<${PersonForm} person=${asking.one} onDone=${done} onClose=${close} />`}
    ${asking?.what === "chain" && html`<${ChainForm} chain=${asking.one} onDone=${done} onClose=${close} />`}
    ${(asking?.what === "people" || asking?.what === "chains") && html`<${Removal} kind=${asking.what} one=${asking.one} onDone=${done} onClose=${close} />`}`;
}

/** @param {{who: any, at: string, setAt: (at: string) => void, read: boolean, onNew: (() => void) | null}} props */
function Now({ who, at, setAt, read, onNew }) {
  const actions = html`
    <select class="control" aria-label=${t("oncall.at")} onChange=${(/** @type {any} */ event) => setAt(event.target.value)}>${AT.map((one) => html`<option value=${one} selected=${one === at}>${later(one)}</option>`)}</select>
    ${onNew && html`<button type="button" onClick=${onNew}>${t("schedule.new")}</button>`}`;
  return html`
    <${Card} title=${t(at === "now" ? "oncall.now" : "oncall.then")} actions=${actions}>
      <${Loaded} of=${who} height=${160}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("oncall.all")} rows=${data.schedules} rowKey=${(/** @type {any} */ one) => one.schedule} empty=${t("oncall.none")} columns=${[
          { key: "schedule", title: t("oncall.schedule"), render: (/** @type {any} */ one) => html`<a href=${read ? href(["alerts", "oncall", one.schedule]) : undefined}><b>${one.schedule}</b></a> <span class="soft">${one.timezone}</span>` },
          { key: "person", title: t("oncall.person"), wide: true, render: (/** @type {any} */ one) => one.person ?? html`<${Badge} tone="bad">${t("oncall.nobody")}<//>` },
          { key: "by", title: t("oncall.by") },
          { key: "until", tight: true, title: t("silence.until"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.until)}>${when(one.until)}</span>` },
          { key: "next", tight: true, title: t("oncall.next"), sort: (/** @type {any} */ one) => one.next?.at ?? null, render: (/** @type {any} */ one) => (one.next ? html`${one.next.person}, ${when(one.next.at)}` : "–") },
        ]} />`}<//>
    <//>`;
}

/** Change and delete, at the end of a row. @param {any} one @param {string} what @param {string} kind @param {(what: string, one: any) => void} ask */
const acts = (one, what, kind, ask) => html`<span class="acts">
  <button type="button" aria-label=${t("admin.named", { action: t("action.change"), name: one.name })} onClick=${() => ask(what, one)}>${t("action.change")}</button>
  <button type="button" aria-label=${t("admin.named", { action: t("action.delete"), name: one.name })} onClick=${() => ask(kind, one)}>${t("action.delete")}</button></span>`;

/** Who is told, in which order; of a schedule also who that is at the time that is shown. @param {{chains: any, present: Record<string, string | null>, edit: boolean, ask: (what: string, one?: any) => void}} props */
function Chains({ chains, present, edit, ask }) {
  const target = (/** @type {any} */ one) => html`<li>${t(`step.${one.type}`)} <b>${one.name}</b>${one.type === "schedule" && html` → ${present[one.name] ?? t("oncall.nobody")}`}</li>`;
  return html`
    <${Card} title=${t("chains.all")} note=${t("chains.note")} actions=${edit && html`<button type="button" onClick=${() => ask("chain")}>${t("chain.new")}</button>`}>
      <${Loaded} of=${chains} height=${120}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("chains.all")} rows=${data.chains} rowKey=${(/** @type {any} */ one) => one.name} empty=${t("chains.none")} columns=${[
          { key: "name", title: t("chain.name"), render: (/** @type {any} */ one) => html`<b>${one.name}</b><br /><span class="soft">${one.description}</span>` },
          { key: "steps", title: t("chain.steps"), wide: true, sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`
            <ol class="plain">${one.steps.map((/** @type {any} */ step, /** @type {number} */ n) => html`<li key=${n}>${/^0/.test(step.after) ? t("step.once") : t("step.later", { after: step.after })}<ul class="plain">${step.notify.map(target)}</ul></li>`)}</ol>
            ${one.warnings.map((/** @type {string} */ text) => html`<p class="notice warn">${text}</p>`)}` },
          { key: "repeat", tight: true, title: t("chain.repeated"), render: (/** @type {any} */ one) => (one.repeat ? t("chain.repeats", { count: one.repeat, after: one.repeatAfter }) : "–") },
          { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => edit && acts(one, "chain", "chains", ask) },
        ]} />`}<//>
    <//>`;
}

/** @param {{people: any, edit: boolean, ask: (what: string, one?: any) => void}} props */
const People = ({ people, edit, ask }) => html`
  <${Card} title=${t("people.all")} actions=${edit && html`<button type="button" onClick=${() => ask("person")}>${t("person.new")}</button>`}>
    <${Loaded} of=${people} height=${120}>${(/** @type {any} */ data) => html`
      <${Table} caption=${t("people.all")} rows=${data.people} rowKey=${(/** @type {any} */ one) => one.name} empty=${t("oncall.people.none")} columns=${[
        { key: "name", title: t("person.name"), render: (/** @type {any} */ one) => html`<b>${one.name}</b>` },
        { key: "email", title: t("person.email"), wide: true },
        { key: "channels", title: t("person.channels"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => one.channels.join(", ") },
        { key: "slack", title: t("person.slack") },
        { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => edit && acts(one, "person", "people", ask) },
      ]} />`}<//>
  <//>`;
