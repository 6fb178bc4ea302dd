// A rule: what it says, and what it would have done before it is stored.
import { html, useState } from "../../core/ui.js";
import { del, get, post, put } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { go } from "../../core/router.js";
import { may } from "../../core/session.js";
import { when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Confirm } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { Editor } from "../explore/editor.js";
import { Backtest } from "./backtest.js";
import { spelled } from "./condition.js";

const SEVERITIES = ["info", "low", "warning", "medium", "high", "error", "critical"];
const EMPTY = { name: "", promql: "", severity: "warning", forMs: 0, keepFiringForMs: 0, annotations: {}, group: "", enabled: true, notificationChannels: [], runbook: "" };

/** @param {{id: string}} props */
export function RuleEditor({ id }) {
  const fresh = id === "new";
  const rule = useLoad((stop) => (fresh ? Promise.resolve(EMPTY) : get(`api/alerts/rules/${encodeURIComponent(id)}`, {}, stop)), [id]);
  return html`<${Loaded} of=${rule} height=${420}>${(/** @type {any} */ one) => html`<${RuleForm} key=${one.version ?? 0} rule=${one} fresh=${fresh} reload=${rule.reload} />`}<//>`;
}

/** @param {{rule: any, fresh: boolean, reload: () => void}} props */
function RuleForm({ rule, fresh, reload }) {
  const [form, setForm] = useState({
    name: rule.name, expression: rule.promql, severity: rule.severity, for: spelled(rule.forMs), keepFiringFor: spelled(rule.keepFiringForMs),
    summary: rule.annotations.summary ?? "", group: rule.group, enabled: rule.enabled, runbook: rule.runbook,
    channels: rule.notificationChannels.map((/** @type {any} */ one) => `${one.type} ${one.destination}`.trim()).join("\n"),
  });
  const [removing, setRemoving] = useState(false);
  const [tried, setTried] = useState(/** @type {any} */ (null));
  const change = (/** @type {string} */ field) => (/** @type {any} */ value) => setForm({ ...form, [field]: value });
  const path = `api/alerts/rules/${encodeURIComponent(rule.id ?? "")}`;
  const saving = useSend(async () => {
    const made = fresh ? await post("api/alerts/rules", written(rule, form)) : await put(path, written(rule, form), { headers: { "if-match": `"${rule.version}"` } });
    for (const one of made.warnings ?? []) toast(`${one.field}: ${one.reason}`);
    toast(t("rule.saved", { name: made.name }));
    if (fresh) go(["alerts", "rules", made.id]);
    else reload();
  });
  const trying = useSend(async () => setTried(await post("api/alerts/rules/preview", { rule: written(rule, form), days: 7 })));
  const removal = useSend(() => del(path), () => go(["alerts", "rules"]));
  const mine = may("monitoring.configure") && !rule.managedBy && rule.kind !== "recording";
  const note = fresh ? null : t("rule.version", { version: rule.version, by: rule.updatedBy || rule.createdBy, when: when(rule.updatedAt ?? rule.createdAt) });
  return html`
    <div class="stack">
      <${Card} title=${fresh ? t("rules.new") : rule.name} note=${note}>
        ${rule.managedBy && html`<p class="notice">${t("rule.managed", { by: rule.managedBy })}</p>`}
        <${Form} onSubmit=${saving.submit} busy=${saving.busy || !mine} problem=${saving.problem} action=${t("action.save")} onCancel=${() => go(["alerts", "rules"])}>
          <div class="fields">
            <${Field} label=${t("rule.name")} value=${form.name} onInput=${change("name")} required error=${saving.wrong("name")} />
            <${Field} label=${t("alerts.severity")} value=${form.severity} onInput=${change("severity")} options=${SEVERITIES.map((one) => ({ value: one, label: t(`severity.${one}`) }))} />
            <${Field} label=${t("rule.group")} value=${form.group} onInput=${change("group")} error=${saving.wrong("group")} />
          </div>
          <p class="label">${t("rule.expression")}</p>
          <${Editor} value=${form.expression} onInput=${change("expression")} onRun=${() => trying.submit()} error=${saving.wrong("expression") || trying.wrong("expression") || trying.wrong("rule.expression")} />
          <div class="fields">
            <${Field} label=${t("rule.for")} value=${form.for} onInput=${change("for")} hint=${t("rule.for.hint")} error=${saving.wrong("for")} mono />
            <${Field} label=${t("rule.keep")} value=${form.keepFiringFor} onInput=${change("keepFiringFor")} error=${saving.wrong("keepFiringFor")} mono />
            <${Field} label=${t("alert.runbook")} value=${form.runbook} onInput=${change("runbook")} error=${saving.wrong("runbook")} />
          </div>
          <${Field} label=${t("rule.summary")} value=${form.summary} onInput=${change("summary")} hint=${"{{ $labels.service }}, {{ $value }}"} error=${saving.wrong("annotations.summary")} />
          <${Field} label=${t("rule.channels")} type="textarea" rows=${2} value=${form.channels} onInput=${change("channels")} hint=${t("rule.channels.hint")} error=${saving.wrong("notificationChannels")} mono />
          <${Field} label=${t("rule.enabled")} type="checkbox" value=${form.enabled} onInput=${change("enabled")} />
        <//>
        <div class="buttons">
          ${!fresh && mine && html`<button type="button" class="danger" onClick=${() => setRemoving(true)}>${t("action.delete")}</button>`}
          ${mine && html`<button type="button" disabled=${trying.busy} onClick=${() => trying.submit()}>${t(trying.busy ? "rule.trying" : "rule.try")}</button>`}
        </div>
        ${trying.problem && html`<p class="wrong" role="alert">${trying.problem}</p>`}
      <//>
      ${tried && html`<${Backtest} answer=${tried} />`}
    </div>
    ${removing && html`<${Confirm} title=${t("rule.delete", { name: rule.name })} text=${t("rule.delete.text")} action=${t("action.delete")} danger busy=${removal.busy} error=${removal.problem} onYes=${() => removal.submit()} onClose=${() => setRemoving(false)} />`}`;
}

/** The rule as it is sent: what the form does not show stays as it was. A simple rule whose expression was not touched
 * stays simple. @param {any} rule @param {any} form */
export function written(rule, form) {
  const channels = form.channels.split("\n").map((/** @type {string} */ one) => one.trim()).filter(Boolean)
    .map((/** @type {string} */ one) => ({ type: one.split(/\s+/, 1)[0], destination: one.replace(/^\S+\s*/, "") }));
  const changed = { name: form.name, severity: form.severity, for: form.for, keepFiringFor: form.keepFiringFor, group: form.group, enabled: form.enabled, runbook: form.runbook,
    annotations: { ...rule.annotations, summary: form.summary }, notificationChannels: channels };
  if (!form.summary) delete changed.annotations.summary;
  const { id, promql, health, published, warnings, version, createdAt, createdBy, updatedAt, updatedBy, managedBy, forMs, keepFiringForMs, ...kept } = rule;
  const simple = rule.id && form.expression === rule.promql;
  if (simple) return { ...kept, ...changed };
  const { kind, metricName, matchers, condition, threshold, by, percentile, ofMetricName, ofMatchers, expected, windowMs, recoveryThreshold, levels, record, ...rest } = kept;
  return { ...rest, ...changed, kind: "expression", expression: form.expression };
}
