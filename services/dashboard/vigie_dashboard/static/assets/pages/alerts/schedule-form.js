// A schedule as it is written, with who would be on call by it before it is saved.
import { html, useMemo, useState } from "../../core/ui.js";
import { post, put, withParams } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { zone } from "../../core/time.js";
import { Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { toast } from "../../components/toasts.js";
import { wall } from "../health/fields.js";
import { Conflict } from "./oncall-forms.js";
import { emptyLayer, match, pathOf, scheduleBody, scheduleValues } from "./oncall-data.js";
import { Shifts, weeksFrom } from "./shifts.js";

const WEEKS = 4;
const ZONES = Intl.supportedValuesOf("timeZone");

/** @param {{schedule: any | null, onDone: (made: any) => void, onClose: () => void}} props */
export function ScheduleForm({ schedule, onDone, onClose }) {
  const today = wall(Date.now(), zone.value).slice(0, 10);
  const [form, setForm] = useState(() => scheduleValues(schedule, zone.value, today));
  const [tried, setTried] = useState(/** @type {any} */ (null));
  const weeks = useMemo(() => weeksFrom(Date.now(), WEEKS), []);
  const name = form.name.trim();
  const saving = useSend(async () => {
    const made = await put(pathOf("schedules", name), scheduleBody(form), match(schedule));
    toast(t("oncall.saved", { name: made.name }));
    onDone(made);
  });
  const trying = useSend(async () => setTried(await post(withParams(pathOf("schedules", name || "new", "/preview"), { from: new Date(weeks[0]).toISOString(), to: new Date(weeks[WEEKS]).toISOString() }), scheduleBody(form))));
  const wrong = (/** @type {string} */ field) => saving.wrong(field) || trying.wrong(field);
  const set = (/** @type {string} */ field) => (/** @type {any} */ value) => {
    setTried(null);
    setForm((old) => ({ ...old, [field]: value }));
  };
  const layers = /** @type {any[]} */ (form.layers);
  const bind = (/** @type {number} */ n, /** @type {string} */ field, place = field) => ({
    label: t(`layer.${field}`), value: layers[n][field], error: wrong(`layers[${n}].${place}`),
    onInput: (/** @type {any} */ value) => set("layers")(layers.map((one, at) => (at === n ? { ...one, [field]: value } : one))),
  });
  return html`
    <${Dialog} title=${schedule ? schedule.name : t("schedule.new")} onClose=${onClose} wide>
      <${Form} onSubmit=${saving.submit} busy=${saving.busy} problem=${saving.problem || trying.problem} action=${t("action.save")} onCancel=${onClose}>
        <div class="fields">
          <${Field} label=${t("schedule.name")} value=${form.name} onInput=${set("name")} required disabled=${Boolean(schedule)} error=${wrong("schedule")} />
          <${Field} label=${t("bar.zone")} value=${form.timezone} onInput=${set("timezone")} list=${ZONES} required error=${wrong("timezone")} />
          <${Field} label=${t("schedule.description")} value=${form.description} onInput=${set("description")} error=${wrong("description")} />
        </div>
        ${layers.map((_, n) => html`
          <fieldset key=${n}>
            <legend>${t("layer.nth", { n: n + 1 })}</legend>
            <div class="fields">
              <${Field} ...${bind(n, "name")} required />
              <${Field} ...${bind(n, "start")} type="date" required hint=${t("layer.start.hint")} />
              <${Field} ...${bind(n, "handoff")} type="time" required />
              <${Field} ...${bind(n, "every", "rotation.every")} type="number" min=${1} max=${365} />
              <${Field} ...${bind(n, "unit", "rotation.unit")} options=${["day", "week"].map((value) => ({ value, label: t(`layer.unit.${value}`) }))} />
              <${Field} ...${bind(n, "timezone")} list=${ZONES} hint=${t("layer.timezone.hint")} />
            </div>
            <div class="fields">
              <${Field} ...${bind(n, "people")} type="textarea" required hint=${t("layer.people.hint")} />
              <${Field} ...${bind(n, "restrictions")} type="textarea" mono hint=${t("layer.restrictions.hint")} />
            </div>
            ${layers.length > 1 && html`<button type="button" onClick=${() => set("layers")(layers.filter((_one, at) => at !== n))}>${t("layer.remove")}</button>`}
          </fieldset>`)}
        ${wrong("layers") && !layers.some((_, n) => wrong(`layers[${n}]`)) && html`<p class="wrong">${wrong("layers")}</p>`}
        <button type="button" onClick=${() => set("layers")([...layers, emptyLayer(today)])}>${t("layer.add")}</button>
        <button type="button" disabled=${trying.busy} onClick=${() => trying.submit()}>${t("schedule.preview")}</button>
        ${tried && html`<div class="after" role="status"><${Shifts} found=${tried} weeks=${weeks} /></div>`}
        <${Conflict} error=${saving.error} onReload=${() => onDone(null)} />
      <//>
    <//>`;
}
