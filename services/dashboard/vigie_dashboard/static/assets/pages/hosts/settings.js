// How hosts are watched: of all, or of one host.
import { html, useState } from "../../core/ui.js";
import { del, get, put, withParams } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { may } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Field, useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { doing, toast } from "../../components/toasts.js";
import { configOf, LEVELS, PARTS, typedConfig } from "./data.js";

/** @param {{host: string | null}} props */
export function Settings({ host }) {
  const config = useLoad((stop) => get("stats/config", { host }, stop), [host]);
  const known = config.data;
  const note = known && (known.updatedBy ? html`<span title=${exactly(known.updatedAt)}>${t("config.by", { version: known.version, by: known.updatedBy, when: when(known.updatedAt) })}</span>` : t("config.first"));
  return html`
    <${Card} title=${host ? t("config.of", { host }) : t("config.all")} note=${note}>
      <${Loaded} of=${config} height=${420}>${(/** @type {any} */ data) => html`<${ConfigForm} key=${`${data.version} ${data.own}`} config=${data} host=${host} reload=${config.reload} />`}<//>
    <//>`;
}

/** @param {{config: any, host: string | null, reload: () => void}} props */
function ConfigForm({ config, host, reload }) {
  const [form, setForm] = useState(() => typedConfig(config));
  const path = withParams("stats/config", { host });
  const { busy, problem, error, wrong, submit } = useSend(() => put(path, configOf(form)), () => {
    toast(t("config.saved"));
    reload();
  });
  const edit = may("monitoring.configure");
  const bind = (/** @type {string} */ name, /** @type {string} */ label) => ({
    label, value: form[name], disabled: !edit, error: wrong(name), onInput: (/** @type {any} */ value) => setForm((old) => ({ ...old, [name]: value })),
  });
  /** What is wrong with both levels of a part stands at the first. @param {string} part @param {string} level */
  const threshold = (part, level) => {
    const field = `alertThresholds.${part}`;
    const both = (error?.errors ?? []).filter((/** @type {any} */ one) => one.field === field && level === LEVELS[0]).map((/** @type {any} */ one) => one.reason);
    return [wrong(`${field}.${level}`), ...both].filter(Boolean).join("; ");
  };
  return html`
    <form onSubmit=${submit} class="narrow">
      ${host && html`<p class="notice">${t(config.own ? "config.own" : "config.shared", { host })}</p>`}
      <div class="fields">
        <${Field} ...${bind("collectionInterval", t("config.interval"))} type="number" step="any" required hint=${t("config.interval.hint")} />
        <${Field} ...${bind("retentionHours", t("config.retention"))} type="number" step="any" required hint=${t("config.retention.hint")} />
      </div>
      <h3>${t("config.thresholds")}</h3>
      ${PARTS.map((part) => html`
        <fieldset key=${part}><legend>${t(`hosts.${part}`)}</legend><div class="fields">${LEVELS.map((level) => html`
          <${Field} key=${level} ...${bind(`${part}.${level}`, t(`config.${level}`))} type="number" step="any" required error=${threshold(part, level)} />`)}</div></fieldset>`)}
      <${Field} ...${bind("alertsEnabled", t("config.alerts"))} type="checkbox" hint=${t("config.alerts.hint")} />
      <${Field} ...${bind("siteStatsEnabled", t("config.sites"))} type="checkbox" hint=${t("config.sites.hint")} />
      ${problem && html`<p class="wrong" role="alert">${problem}</p>`}
      ${edit && html`<div class="buttons">
        ${config.own && html`<button type="button" onClick=${async () => (await doing(() => del(path), t("config.removed"))) && reload()}>${t(host ? "config.remove.host" : "config.remove")}</button>`}
        <button type="submit" class="primary" disabled=${busy}>${t("action.save")}</button>
      </div>`}
    </form>`;
}
