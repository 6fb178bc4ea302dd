// One word with a colour, which never stands alone: the word says it too.
import { html } from "../core/ui.js";
import { t } from "../core/i18n.js";

/** @typedef {"ok" | "warn" | "bad" | "calm" | "none"} Tone */

/** @param {{tone?: Tone, title?: string, children?: any}} props */
export const Badge = ({ tone = "none", title, children }) => html`<span class=${`badge ${tone}`} title=${title}>${children}</span>`;

/** @type {Record<string, Tone>} */
const SEVERITIES = { critical: "bad", error: "bad", high: "bad", warning: "warn", medium: "warn", low: "calm", info: "calm" };
/** @type {Record<string, Tone>} */
const STATES = {
  up: "ok", healthy: "ok", degraded: "warn", down: "bad", unhealthy: "bad", unknown: "none", maintenance: "calm",
  active: "bad", firing: "bad", acknowledged: "calm", pending: "warn", resolved: "ok", ok: "ok", error: "bad", expired: "none",
};

/** @param {string} severity @returns {Tone} */
export const toneOfSeverity = (severity) => SEVERITIES[severity] ?? "none";

/** The severity of an alert or a rule. @param {{value: string}} props */
export const Severity = ({ value }) => html`<${Badge} tone=${toneOfSeverity(value)}>${known("severity", value)}<//>`;

/** The state of an alert or a target. @param {{value: string}} props */
export const State = ({ value }) => html`<${Badge} tone=${STATES[value] ?? "none"}>${known("state", value)}<//>`;

/** @param {string} group @param {string} value */
function known(group, value) {
  const text = t(`${group}.${value}`);
  return text === `${group}.${value}` ? value : text;
}
