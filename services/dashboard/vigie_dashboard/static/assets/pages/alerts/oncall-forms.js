// People and chains as they are written, and what is removed.
import { html, useState } from "../../core/ui.js";
import { del, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { toast } from "../../components/toasts.js";
import { chainBody, chainValues, match, pathOf } from "./oncall-data.js";
import { lines } from "./routing.js";

/** Somebody was faster: what they wrote is shown in the place of this. @param {{error: any, onReload: () => void}} props */
export const Conflict = ({ error, onReload }) => (error?.status === 409 ? html`<p><button type="button" onClick=${onReload}>${t("conflict.reload")}</button></p>` : null);

/** @param {{kind: "schedules" | "people" | "chains", one: any, onDone: () => void, onClose: () => void}} props */
export function Removal({ kind, one, onDone, onClose }) {
  const { busy, problem, submit } = useSend(() => del(pathOf(kind, one.name), match(one)), onDone);
  return html`<${Confirm} title=${t("admin.named", { action: t("action.delete"), name: one.name })} text=${t(`oncall.remove.${kind}`)} action=${t("action.delete")} danger busy=${busy} error=${problem} onYes=${() => submit()} onClose=${onClose} />`;
}

/** @param {{person: any | null, onDone: () => void, onClose: () => void}} props */
export function PersonForm({ person, onDone, onClose }) {
  const [form, setForm] = useState({ name: person?.name ?? "", email: person?.email ?? "", channels: (person?.channels ?? []).join("\n"), slack: person?.slack ?? "" });
  const { busy, problem, error, submit, wrong } = useSend(() => put(pathOf("people", form.name.trim()), { email: form.email.trim(), channels: lines(form.channels), slack: form.slack.trim() }, match(person)), () => {
    toast(t("oncall.saved", { name: form.name }));
    onDone();
  });
  const bind = (/** @type {keyof typeof form} */ field) => ({ label: t(`person.${field}`), value: form[field], onInput: (/** @type {string} */ value) => setForm((old) => ({ ...old, [field]: value })), error: wrong(field) });
  return html`
    <${Dialog} title=${person ? person.name : t("person.new")} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <${Field} ...${bind("name")} error=${wrong("person")} required disabled=${Boolean(person)} />
        <${Field} ...${bind("email")} type="email" />
        <${Field} ...${bind("channels")} type="textarea" rows=${2} hint=${t("person.channels.hint")} />
        <${Field} ...${bind("slack")} hint=${t("person.slack.hint")} mono />
        <${Conflict} error=${error} onReload=${onDone} />
      <//>
    <//>`;
}

/** @param {{chain: any | null, onDone: () => void, onClose: () => void}} props */
export function ChainForm({ chain, onDone, onClose }) {
  const [form, setForm] = useState(() => chainValues(chain));
  const { busy, problem, error, submit, wrong } = useSend(async () => {
    const made = await put(pathOf("chains", form.name.trim()), chainBody(form), match(chain));
    toast(made.warnings.length ? made.warnings.join("; ") : t("oncall.saved", { name: made.name }));
  }, onDone);
  const set = (/** @type {string} */ field) => (/** @type {any} */ value) => setForm((old) => ({ ...old, [field]: value }));
  const steps = /** @type {any[]} */ (form.steps);
  const bind = (/** @type {number} */ n, /** @type {string} */ field) => ({
    label: t(`step.${field}`), value: steps[n][field], error: wrong(`steps[${n}].${field}`),
    onInput: (/** @type {string} */ value) => set("steps")(steps.map((one, at) => (at === n ? { ...one, [field]: value } : one))),
  });
  return html`
    <${Dialog} title=${chain ? chain.name : t("chain.new")} onClose=${onClose} wide>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <div class="fields">
          <${Field} label=${t("chain.name")} value=${form.name} onInput=${set("name")} required disabled=${Boolean(chain)} error=${wrong("chain")} />
          <${Field} label=${t("schedule.description")} value=${form.description} onInput=${set("description")} error=${wrong("description")} />
        </div>
        ${steps.map((_, n) => html`
          <fieldset key=${n}>
            <legend>${t("step.nth", { n: n + 1 })}</legend>
            <div class="fields"><${Field} ...${bind(n, "after")} hint=${t("step.after.hint")} mono required /><${Field} ...${bind(n, "notify")} type="textarea" hint=${t("step.notify.hint")} mono required /></div>
            ${steps.length > 1 && html`<button type="button" onClick=${() => set("steps")(steps.filter((_one, at) => at !== n))}>${t("step.remove")}</button>`}
          </fieldset>`)}
        <button type="button" onClick=${() => set("steps")([...steps, { after: "10m", notify: "" }])}>${t("step.add")}</button>
        <div class="fields after">
          <${Field} label=${t("chain.repeat")} type="number" min=${0} max=${9} value=${form.repeat} onInput=${set("repeat")} error=${wrong("repeat")} />
          <${Field} label=${t("chain.repeatAfter")} value=${form.repeatAfter} onInput=${set("repeatAfter")} error=${wrong("repeatAfter")} mono />
        </div>
        <${Conflict} error=${error} onReload=${onDone} />
      <//>
    <//>`;
}
