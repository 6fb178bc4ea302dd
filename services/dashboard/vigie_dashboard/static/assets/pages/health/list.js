// All targets: how they are, how they were, and the way to each.
import { html, useEffect, useMemo, useRef, useState } from "../../core/ui.js";
import { number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLater, useLoad, useTick } from "../../core/load.js";
import { go, route, setParams } from "../../core/router.js";
import { may } from "../../core/session.js";
import { to } from "../../pages.js";
import { exactly, when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Secret } from "../../components/secret.js";
import { Empty, Loaded } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { current, filtered, pasts, shownState, taken, targets, WINDOWS, worstFirst } from "./data.js";
import { TargetForm } from "./form.js";
import { checkAll, checkNow, milliseconds, percent, statusPage, TargetState, Ticks } from "./parts.js";

const EVERY_MS = 60_000;
const TYPED_MS = 250;
const PAGE = 100;
const STATES = ["down", "degraded", "unknown", "up", "off"];

export function TargetList() {
  const params = route.value.params;
  const wanted = { q: params.get("q") ?? "", state: params.get("state") ?? "", group: params.get("group") ?? "" };
  const window = (params.get("window") ?? "") in WINDOWS ? String(params.get("window")) : "24h";
  const tick = useTick(EVERY_MS);
  const [live, setLive] = useState(/** @type {Map<string, any> | null} */ (null));
  const [all, setAll] = useState(false);
  const [adding, setAdding] = useState(false);
  const [token, setToken] = useState(/** @type {{name: string, token: string} | null} */ (null));
  const asked = useLater(all ? wanted.q : "", TYPED_MS);
  const listed = useLoad((stop) => targets(asked, stop), [tick, asked]);
  const past = useLoad((stop) => pasts(window, stop), [tick, window]);
  const known = useRef(/** @type {Set<string>} */ (new Set()));
  known.current = new Set((listed.data?.services ?? []).map((one) => one.name));
  const whole = useRef(false); // else most news are of targets that are not listed
  whole.current = Boolean(listed.data && !listed.data.nextCursor);
  useEffect(() => { if (listed.data?.nextCursor) setAll(true); }, [listed.data]);
  useLive("health", {}, (message) => {
    setLive((old) => taken(old, message));
    const news = message.data.some((/** @type {any} */ one) => !known.current.has(one.name));
    if (message.removed?.length || (news && known.current.size && whole.current && !asked)) listed.reload();
  }, [asked]);
  const rows = useMemo(() => (listed.data?.services ?? []).map((one) => current(one, live?.get(one.name))).sort(worstFirst), [listed.data, live]);
  const shown = filtered(rows, wanted);
  const groups = [...new Set(rows.map((one) => one.group).filter(Boolean))].sort();
  const counted = (/** @type {string} */ state) => rows.filter((one) => shownState(one) === state).length;
  const done = (/** @type {any} */ made) => {
    setAdding(false);
    listed.reload();
    toast(t("target.saved", { name: made.name }));
    if (made.token) setToken(made);
    else go(["health", made.name]);
  };
  const actions = html`
    ${rows.some((one) => one.public) && html`<a href=${statusPage()} target="_blank" rel="noopener">${t("health.status")}</a>`}
    ${rows.length > 0 && html`<button type="button" onClick=${checkAll}>${t("health.check.everything")}</button>`}
    ${may("monitoring.configure") && html`<button type="button" class="primary" onClick=${() => setAdding(true)}>${t("target.add")}</button>`}`;
  return html`
    <${Card} title=${t("health.targets")} note=${listed.data && t("health.note", { up: counted("up"), all: rows.length, down: counted("down") })} actions=${actions} class="targets">
      <${Filters} wanted=${wanted} window=${window} groups=${groups} />
      <${Loaded} of=${listed} height=${420}>${() => html`
        ${all && html`<p class="hint">${t("health.many", { count: rows.length })}</p>`}
        ${!rows.length && !wanted.q && html`<${Empty} title=${t("overview.health.none")} height=${160}>${may("monitoring.configure") && t("health.none.add")}<//>`}
        ${(rows.length > 0 || wanted.q) && !shown.length && html`<${Empty} title=${t("health.nothing")} height=${160} />`}
        <${Rows} key=${JSON.stringify(wanted)} rows=${shown} past=${past.data} window=${window} />`}<//>
    <//>
    ${adding && html`<${TargetForm} target=${null} groups=${groups} onDone=${done} onClose=${() => setAdding(false)} />`}
    ${token && html`<${Token} made=${token} onClose=${() => { setToken(null); go(["health", token.name]); }} />`}`;
}

/** @param {{wanted: {q: string, state: string, group: string}, window: string, groups: string[]}} props */
function Filters({ wanted, window, groups }) {
  const choice = (/** @type {string} */ name, /** @type {string} */ value, /** @type {{value: string, label: string}[]} */ options, none = "") => html`
    <select class="control" aria-label=${t(`health.${name}`)} onChange=${(/** @type {any} */ event) => setParams({ [name]: event.target.value === none ? null : event.target.value })}>
      ${options.map((one) => html`<option value=${one.value} selected=${one.value === value}>${one.label}</option>`)}
    </select>`;
  return html`
    <div class="filters" role="search">
      <input class="control" type="search" aria-label=${t("health.search")} placeholder=${t("health.search")} value=${wanted.q} onInput=${(/** @type {any} */ event) => setParams({ q: event.target.value || null })} />
      ${choice("state", wanted.state, [{ value: "", label: t("health.state.any") }, ...STATES.map((value) => ({ value, label: t(`state.${value}`) }))])}
      ${groups.length > 0 && choice("group", wanted.group, [{ value: "", label: t("health.group.any") }, ...groups.map((value) => ({ value, label: value }))])}
      ${choice("window", window, Object.keys(WINDOWS).map((value) => ({ value, label: t(`range.${value}`) })), "24h")}
    </div>`;
}

/** @param {{rows: import("./data.js").Target[], past: Map<string, import("./data.js").Past> | null, window: string}} props */
function Rows({ rows, past, window }) {
  const [most, setMost] = useState(PAGE);
  return html`
    <ul class="rows">${rows.slice(0, most).map((one) => html`
      <li key=${one.name} class="target">
        <span class="what"><a href=${to(["health", one.name])}>${one.name}</a><small title=${one.url}>${[t(`kind.${one.kind}`), one.group].filter(Boolean).join(", ")}</small></span>
        <${Ticks} past=${past?.get(one.name)} window=${window} />
        <span class="num" title=${t("health.uptime")}><span class="sr-only">${t("health.uptime")} </span>${percent(past?.get(one.name)?.uptime)}</span>
        <span class="num" title=${exactly(one.lastCheck)}><span class="sr-only">${t("health.response")} </span>${milliseconds(one.responseTime)}</span>
        <span class="num"><${TargetState} target=${one} /></span>
        <button type="button" disabled=${!one.enabled} aria-label=${t("health.check.named", { name: one.name })} onClick=${() => checkNow(one.name)}>${t("health.check")}</button>
        ${one.reason && one.enabled && one.state !== "up" && html`<p>${one.reason}${one.since && html` <small>${t("health.since", { time: when(one.since) })}</small>`}</p>`}
      </li>`)}</ul>
    ${rows.length > most && html`<p class="more-rows"><button type="button" onClick=${() => setMost(most + PAGE)}>${t("table.more")} (${number(rows.length - most)})</button></p>`}`;
}

/** @param {{made: {name: string, token: string}, onClose: () => void}} props */
export function Token({ made, onClose }) {
  const url = new URL(`api/health/heartbeat/${made.token}`, document.baseURI).href;
  return html`<${Secret} title=${t("heartbeat.token")} text=${t("heartbeat.token.text", { name: made.name })} value=${url} onClose=${onClose} />`;
}
