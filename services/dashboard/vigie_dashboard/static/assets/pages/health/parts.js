// What the list and one target share: bars, states, numbers, and what is done with a target.
import { html } from "../../core/ui.js";
import { del, patch, post } from "../../core/api.js";
import { number, t } from "../../core/i18n.js";
import { may, tenant } from "../../core/session.js";
import { when } from "../../core/time.js";
import { Badge, State } from "../../components/badge.js";
import { doing, toast } from "../../components/toasts.js";
import { colourOf, floored, path, shownState, WINDOWS } from "./data.js";

/** @typedef {import("./data.js").Target} Target */

/** The past of a target, a bar for each part of it. @param {{past: import("./data.js").Past | undefined, window: string}} props */
export function Ticks({ past, window }) {
  const { bars, step } = WINDOWS[window];
  const shares = past?.shares ?? Array(bars).fill(null);
  const end = Date.now();
  const bad = shares.filter((one) => one !== null && one < 1).length;
  const said = past ? t("health.bars", { count: bad, of: shares.filter((one) => one !== null).length }) : t("health.bars.none");
  const title = (/** @type {number | null} */ share, /** @type {number} */ n) =>
    `${when(end - (bars - n) * step * 1000)} – ${when(end - (bars - 1 - n) * step * 1000)}: ${share === null ? t("state.unknown") : percent(share * 100)}`;
  return html`<span class="ticks" role="img" aria-label=${said}>${shares.map((one, n) => html`<span class=${colourOf(one)} title=${title(one, n)}></span>`)}</span>`;
}

/** @param {number | null | undefined} value @returns {string} */
export const percent = (value) => (value === null || value === undefined ? "–" : `${number(floored(value), value >= 100 ? 0 : 2)} %`);

/** @param {number | null | undefined} ms @returns {string} */
export const milliseconds = (ms) => (ms === null || ms === undefined ? "–" : `${number(ms, ms < 10 ? 1 : 0)} ms`);

/** @param {{target: Target}} props */
export const TargetState = ({ target }) => html`
  <${State} value=${shownState(target)} />${target.muted && html` <${Badge} tone="calm" title=${t(`health.muted.${target.muted}`)}>${t("health.muted")}<//>`}`;

/** Who may change it here: what a file manages is changed there. @param {Target} target */
export const changeable = (target) => may("monitoring.configure") && (target.managedBy === "" || target.managedBy === "vigie");

/** Ask it, and say what was found. @param {string} name */
export const checkNow = (name) => doing(async () => {
  const answer = await post("api/health/check", { service: name });
  const one = answer.services[0];
  const bad = one.lastVerdict === "down" || one.lastVerdict === "unknown";
  toast(answer.pending.length ? t("health.check.pending", { name }) : t("health.check.found", { name, state: t(`state.${one.lastVerdict}`), reason: one.reason }), bad ? "bad" : "ok");
});

/** All of them. */
export const checkAll = () => doing(async () => {
  const answer = await post("api/health/check", {});
  const down = answer.services.filter((/** @type {any} */ one) => one.state === "down").length;
  toast(t("health.check.all", { checked: answer.services.length - answer.pending.length, down }), down ? "bad" : "ok");
});

/** @param {Target} target */
export const turn = (target) => doing(() => patch(path(target.name), { enabled: !target.enabled }), t(target.enabled ? "health.turned.off" : "health.turned.on", { name: target.name }));

/** @param {string} name */
export const remove = (name) => del(path(name));

/** The page that everybody may see, where there is one. */
export const statusPage = () => `status/${encodeURIComponent(tenant.value)}`;
