// The head of a page: its name, whether it is live, and what all pages share: tenant, range, zone, language, theme.
import { html, useId, useState } from "../core/ui.js";
import { LANGUAGES, language, speak, t } from "../core/i18n.js";
import { status } from "../core/live.js";
import { param, setParams } from "../core/router.js";
import { me, openToAll, state, tenant } from "../core/session.js";
import { choose, THEMES, theme } from "../core/theme.js";
import { browserZone, parseRange, PRESETS, spoken, zone } from "../core/time.js";
import { LoginDialog } from "./login.js";

const LIVE = /** @type {Record<string, string>} */ ({ live: "ok", connecting: "wait", paused: "wait", offline: "bad", refused: "bad" });

/** @param {{title: string}} props */
export function Bar({ title }) {
  return html`
    <div class="bar">
      <h1>${title}</h1>
      <span class=${`live ${LIVE[status.value]}`} role="status">${t(`live.${status.value}`)}</span>
      <${TenantChoice} />
      <${RangeChoice} />
      <${Settings} />
    </div>
    <${Notices} />`;
}

function TenantChoice() {
  const who = me.value;
  const known = [...new Set([tenant.value, ...(who?.tenants.map((one) => one.tenant) ?? [])])];
  const [typed, setTyped] = useState(/** @type {string | null} */ (null));
  if (who?.role) {
    const go = (/** @type {Event} */ event) => {
      event.preventDefault();
      setParams({ tenant: (typed ?? "").trim() || null }, true);
      setTyped(null);
    };
    return html`<form onSubmit=${go} class="tenant"><input class="control" aria-label=${t("bar.tenant")} value=${typed ?? tenant.value} size="10"
      onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} onBlur=${() => setTyped(null)} /></form>`;
  }
  if (known.length < 2) return html`<span class="control plain" title=${t("bar.tenant")}>${tenant.value}</span>`;
  return html`<select class="control" aria-label=${t("bar.tenant")} onChange=${(/** @type {any} */ event) => setParams({ tenant: event.target.value }, true)}>
    ${known.map((one) => html`<option value=${one} selected=${one === tenant.value}>${one}</option>`)}
  </select>`;
}

function RangeChoice() {
  const range = parseRange(param("range").value, Date.now());
  const known = /** @type {readonly string[]} */ (PRESETS).includes(range.text);
  return html`<select class="control" aria-label=${t("bar.range")} onChange=${(/** @type {any} */ event) => setParams({ range: event.target.value }, true)}>
    ${PRESETS.map((one) => html`<option value=${one} selected=${one === range.text}>${t(`range.${one}`)}</option>`)}
    ${!known && html`<option value=${range.text} selected=${true}>${spoken(range)}</option>`}
  </select>`;
}

function Settings() {
  const id = useId();
  return html`
    <details class="settings">
      <summary class="control">${t("bar.settings")}</summary>
      <div class="panel">
        <label for=${`${id}-zone`}>${t("bar.zone")}</label>
        <select id=${`${id}-zone`} class="control" onChange=${(/** @type {any} */ event) => setParams({ tz: event.target.value === browserZone ? null : event.target.value })}>
          ${zones().map((one) => html`<option value=${one} selected=${one === zone.value}>${one}</option>`)}
        </select>
        <label for=${`${id}-language`}>${t("bar.language")}</label>
        <select id=${`${id}-language`} class="control" onChange=${(/** @type {any} */ event) => speak(event.target.value)}>
          ${Object.entries(LANGUAGES).map(([code, name]) => html`<option value=${code} lang=${code} selected=${code === language.value}>${name}</option>`)}
        </select>
        <label for=${`${id}-theme`}>${t("bar.theme")}</label>
        <select id=${`${id}-theme`} class="control" onChange=${(/** @type {any} */ event) => choose(event.target.value)}>
          ${THEMES.map((one) => html`<option value=${one} selected=${one === theme.value}>${t(`theme.${one}`)}</option>`)}
        </select>
      </div>
    </details>`;
}

/** The reader's zone, UTC, and all others. */
const zones = () => [...new Set([zone.value, browserZone, "UTC", ...Intl.supportedValuesOf("timeZone")])];

/** What is wrong, or worth knowing, about all that is shown. */
function Notices() {
  const [login, setLogin] = useState(false);
  const offline = status.value === "offline";
  const open = state.value === "anonymous" && openToAll.value;
  return html`
    ${offline && html`<p class="notice bad" role="alert">${t("notice.offline")}</p>`}
    ${open && html`<p class="notice">${t("notice.anonymous", { tenant: tenant.value })}
      <button type="button" class="link" onClick=${() => setLogin(true)}>${t("session.logIn")}</button></p>`}
    ${login && open && html`<${LoginDialog} onClose=${() => setLogin(false)} />`}`;
}
