// Add a target, or change one: what every kind has first, what one kind knows after it, the rest folded.
import { html, useState } from "../../core/ui.js";
import { post, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { zone } from "../../core/time.js";
import { Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { path } from "./data.js";
import { bodyOf, EXAMPLES, has, KINDS, OPTIONS, valuesOf } from "./fields.js";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const REPEATS = ["once", "daily", "weekly"];
const SECTIONS = /** @type {Record<string, string[]>} */ ({
  asked: ["method", "headers", "body", "username", "password", "options", "verify", "maxRedirects"],
  expect: ["expect"],
  places: ["regions", "quorum", "dependsOn", "labels"],
  maintenance: ["maintenance"],
});

/** @param {{target: Record<string, any> | null, groups: string[], onDone: (written: any) => void, onClose: () => void}} props `target`: its definition */
export function TargetForm({ target, groups, onDone, onClose }) {
  const [values, setValues] = useState(() => valuesOf(target, zone.value));
  const [written, setWritten] = useState(/** @type {any} */ (null));
  const { busy, error, problem, submit, wrong } = useSend(async () => {
    const body = bodyOf(values);
    const made = target ? await put(path(target.name), body) : await post("api/health/services", body);
    if (made.warnings.length) setWritten(made);
    else onDone(made);
  });
  const set = (/** @type {string} */ name) => (/** @type {any} */ value) => setValues((old) => ({ ...old, [name]: value }));
  const bind = (/** @type {string} */ name, /** @type {string} */ field = name) => ({ label: t(`target.${name}`), value: values[name], onInput: set(name), error: wrong(field) });
  if (written) return html`<${Warned} written=${written} onClose=${() => onDone(written)} />`;
  const shared = { values, setValues, set, bind, wrong, error };
  const beats = values.kind === "heartbeat";
  return html`
    <${Dialog} title=${target ? t("target.change", { name: target.name }) : t("target.add")} onClose=${onClose} wide>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${target ? t("action.save") : t("target.add")} onCancel=${onClose}>
        <div class="fields">
          <${Field} ...${bind("name")} required />
          <${Field} ...${bind("kind")} options=${KINDS.map((one) => ({ value: one, label: t(`kind.${one}`) }))} disabled=${target?.kind === "heartbeat"} />
        </div>
        ${!beats && html`<${Field} ...${bind("url")} required mono placeholder=${EXAMPLES[values.kind]} />`}
        <div class="fields">
          <${Field} ...${bind("interval")} label=${t(beats ? "target.interval.heartbeat" : "target.interval")} hint=${t("target.duration.hint")} />
          <${Field} ...${bind("timeout")} label=${t(beats ? "target.timeout.heartbeat" : "target.timeout")} />
          ${!beats && html`<${Field} ...${bind("retries")} type="number" min=${0} max=${10} />
            <${Field} ...${bind("failureThreshold")} type="number" min=${1} max=${100} />
            <${Field} ...${bind("successThreshold")} type="number" min=${1} max=${100} />`}
          <${Field} ...${bind("group")} list=${groups} />
        </div>
        <${Field} ...${bind("description")} />
        <div class="fields">
          <${Field} ...${bind("public")} type="checkbox" />
          <${Field} ...${bind("enabled")} type="checkbox" />
        </div>
        ${!beats && html`<${Section} name="asked" ...${shared}><${Asked} ...${shared} /><//>
          <${Section} name="expect" ...${shared}><${Expected} ...${shared} /><//>`}
        <${Section} name="places" ...${shared}>
          <div class="fields">
            <${Field} ...${bind("dependsOn")} type="textarea" hint=${t("target.lines")} />
            <${Field} ...${bind("labels")} type="textarea" mono hint=${t("target.labels.hint")} />
            ${!beats && html`<${Field} ...${bind("regions")} type="textarea" hint=${t("target.lines")} />
              <${Field} ...${bind("quorum")} type="number" min=${0} hint=${t("target.quorum.hint")} />`}
          </div>
        <//>
        <${Section} name="maintenance" ...${shared}><${Maintenance} ...${shared} /><//>
      <//>
    <//>`;
}

/** A part that is folded until something in it is wrong. @param {any} props */
function Section({ name, wrong, error, children }) {
  const bad = error && SECTIONS[name].some((one) => wrong(one));
  return html`<details class="fold" open=${bad || undefined}><summary>${t(`target.section.${name}`)}</summary>${children}</details>`;
}

/** @param {any} props */
function Asked({ values, setValues, bind, wrong }) {
  const knows = has(values.kind);
  const option = (/** @type {string} */ name) => (/** @type {string} */ value) => setValues((/** @type {any} */ old) => ({ ...old, options: { ...old.options, [name]: value } }));
  return html`
    ${knows.http && html`<div class="fields"><${Field} ...${bind("method")} options=${METHODS} /><${Field} ...${bind("maxRedirects")} type="number" min=${0} max=${20} /></div>`}
    ${knows.headers && html`<${Field} ...${bind("headers")} type="textarea" mono hint=${t("target.headers.hint")} />`}
    ${knows.http && html`<${Field} ...${bind("body")} type="textarea" mono />`}
    ${knows.login && html`<div class="fields"><${Field} ...${bind("username")} autocomplete="off" /><${Field} ...${bind("password")} type="password" autocomplete="new-password" hint=${t("target.secret.hint")} /></div>`}
    <div class="fields">${(OPTIONS[values.kind] ?? []).map((name) => html`
      <${Field} key=${name} label=${t(`option.${name}`)} value=${values.options[name] ?? ""} onInput=${option(name)} error=${wrong(`options.${name}`)} />`)}</div>
    ${knows.tls && html`<${Field} ...${bind("verify")} type="checkbox" />`}`;
}

/** @param {any} props */
function Expected({ values, bind }) {
  const knows = has(values.kind);
  return html`
    ${knows.http && html`<${Field} ...${bind("statuses", "expect.statuses")} mono hint=${t("target.statuses.hint")} />`}
    ${knows.text && html`<div class="fields"><${Field} ...${bind("bodyMatches", "expect.bodyMatches")} type="textarea" mono hint=${t("target.expressions.hint")} />
      <${Field} ...${bind("bodyNotMatches", "expect.bodyNotMatches")} type="textarea" mono hint=${t("target.expressions.hint")} /></div>`}
    ${knows.json && html`<${Field} ...${bind("json", "expect.json")} type="textarea" mono hint=${t("target.json.hint")} />`}
    <div class="fields">
      <${Field} ...${bind("slowMs", "expect.slowMs")} type="number" min=${0} step="any" />
      ${knows.tls && html`<${Field} ...${bind("expiresDays", "expect.expiresWithinMs")} type="number" min=${0} step="any" />`}
      ${knows.http && html`<${Field} ...${bind("maxBytes", "expect.maxBytes")} type="number" min=${0} />`}
    </div>`;
}

/** @param {any} props */
function Maintenance({ values, set, wrong }) {
  const rows = /** @type {any[]} */ (values.maintenance);
  const change = (/** @type {number} */ n, /** @type {Record<string, string>} */ more) => set("maintenance")(rows.map((one, at) => (at === n ? { ...one, ...more } : one)));
  const bind = (/** @type {number} */ n, /** @type {string} */ name) => ({ label: t(`maintenance.${name}`), value: rows[n][name], onInput: (/** @type {string} */ value) => change(n, { [name]: value }) });
  return html`
    ${rows.map((one, n) => html`
      <fieldset key=${n}>
        <legend>${t("maintenance.nth", { n: n + 1 })}</legend>
        <div class="fields">
          <${Field} ...${bind(n, "starts")} type="datetime-local" required error=${wrong(`maintenance[${n}]`)} />
          <${Field} ...${bind(n, "ends")} type="datetime-local" required />
          <${Field} ...${bind(n, "repeat")} options=${REPEATS.map((value) => ({ value, label: t(`maintenance.repeat.${value}`) }))} />
          <${Field} ...${bind(n, "zone")} />
          <${Field} ...${bind(n, "reason")} />
        </div>
        <button type="button" onClick=${() => set("maintenance")(rows.filter((_, at) => at !== n))}>${t("maintenance.remove")}</button>
      </fieldset>`)}
    ${wrong("maintenance") && !rows.some((_, n) => wrong(`maintenance[${n}]`)) && html`<p class="wrong">${wrong("maintenance")}</p>`}
    <button type="button" onClick=${() => set("maintenance")([...rows, { starts: "", ends: "", repeat: "once", zone: values.zone, reason: "" }])}>${t("maintenance.add")}</button>`;
}

/** It is taken, and something of it was hardly meant. @param {{written: any, onClose: () => void}} props */
const Warned = ({ written, onClose }) => html`
  <${Dialog} title=${t("target.saved", { name: written.name })} onClose=${onClose}>
    <p>${t("target.warned")}</p>
    <ul>${written.warnings.map((/** @type {any} */ one) => html`<li>${one.field}: ${one.reason}</li>`)}</ul>
    <div class="buttons"><button type="button" class="primary" onClick=${onClose}>${t("action.close")}</button></div>
  <//>`;
