// One target: how it is and why, how it was, what its checks said, and how it is defined.
import { html, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { lasting, number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLoad, useTick } from "../../core/load.js";
import { go } from "../../core/router.js";
import { to } from "../../pages.js";
import { exactly, when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Confirm } from "../../components/dialog.js";
import { useSend } from "../../components/form.js";
import { Loaded } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { current, path, taken } from "./data.js";
import { Definition } from "./definition.js";
import { TargetForm } from "./form.js";
import { Checks, Incidents, Response } from "./history.js";
import { changeable, checkNow, milliseconds, percent, remove, statusPage, TargetState, turn } from "./parts.js";

const EVERY_MS = 30_000;
const WINDOWS = ["24h", "7d", "30d", "90d"];

/** @param {{name: string}} props */
export function TargetPage({ name }) {
  const tick = useTick(EVERY_MS);
  const [live, setLive] = useState(/** @type {any} */ (null));
  const [news, setNews] = useState("");
  const one = useLoad((stop) => get(path(name), {}, stop), [tick, news]);
  const uptimes = useLoad((stop) => Promise.all(WINDOWS.map((window) => get(`${path(name)}/uptime`, { window }, stop))), [tick]);
  const incidents = useLoad((stop) => get(`${path(name)}/incidents`, { limit: 50 }, stop), [tick, news]);
  useLive("health", { service: name }, (message) => {
    const told = taken(null, message).get(name);
    if (!told) return;
    setLive(told);
    setNews(`${told.state} ${told.since} ${told.muted}`);
  }, [name]);
  return html`
    <p class="crumb"><a href=${to("health")}>${t("health.targets")}</a></p>
    <${Loaded} of=${one} height=${480}>${(/** @type {any} */ data) => html`
      <${Head} target=${current(data, live)} reload=${one.reload} />
      <${Tiles} uptimes=${uptimes.data} />
      <div class="grid">
        <div class="stack">
          <${Response} name=${name} incidents=${incidents.data?.incidents ?? []} />
          <${Checks} name=${name} tick=${tick} news=${news} />
        </div>
        <div class="stack">
          <${LastCheck} target=${current(data, live)} phases=${live?.phases ?? data.phases} />
          <${Incidents} of=${incidents} />
          <${Definition} target=${data} />
        </div>
      </div>`}<//>`;
}

/** @param {{target: any, reload: () => void}} props */
function Head({ target, reload }) {
  const [asking, setAsking] = useState("");
  const gone = useSend(() => remove(target.name), () => {
    toast(t("target.deleted", { name: target.name }));
    go("health");
  });
  const may = changeable(target);
  const after = (/** @type {any} */ made) => {
    setAsking("");
    toast(t("target.saved", { name: made.name }));
    if (made.name === target.name) reload();
    else go(["health", made.name]);
  };
  return html`
    <section class="card head" aria-label=${target.name}>
      <div class="grow"><h2>${target.name}</h2><p>${target.url || t("kind.heartbeat")}</p></div>
      <${TargetState} target=${target} />
      <div class="buttons">
        ${target.public && html`<a class="button" href=${statusPage()} target="_blank" rel="noopener">${t("health.status")}</a>`}
        <button type="button" disabled=${!target.enabled} onClick=${async () => (await checkNow(target.name)) && reload()}>${t("health.check")}</button>
        ${may && html`
          <button type="button" onClick=${() => setAsking("change")}>${t("action.change")}</button>
          <button type="button" onClick=${async () => (await turn(target)) && reload()}>${t(target.enabled ? "health.turn.off" : "health.turn.on")}</button>
          <button type="button" class="danger" onClick=${() => setAsking("delete")}>${t("action.delete")}</button>`}
      </div>
      ${target.reason && target.enabled && html`<p class="reason">${target.reason}</p>`}
      ${target.managedBy && html`<p class="hint">${t(target.managedBy === "vigie" ? "target.managed.vigie" : "target.managed", { by: target.managedBy })}</p>`}
    </section>
    ${asking === "change" && html`<${TargetForm} target=${target.definition} groups=${[]} onDone=${after} onClose=${() => setAsking("")} />`}
    ${asking === "delete" && html`<${Confirm} title=${t("target.delete", { name: target.name })} text=${t("target.delete.text")} action=${t("action.delete")} danger
      busy=${gone.busy} error=${gone.problem} onYes=${gone.submit} onClose=${() => setAsking("")} />`}`;
}

/** Uptime of four windows, and how fast it answers. @param {{uptimes: any[] | null}} props */
function Tiles({ uptimes }) {
  const day = uptimes?.[0].latency;
  return html`
    <div class="tiles">
      ${WINDOWS.map((window, n) => html`
        <section class="card tile" key=${window}>
          <h2 class="name">${t(`health.uptime.${window}`)}</h2>
          <div class=${`value ${uptimes ? "" : "waiting"}`}>${percent(uptimes?.[n].uptime)}</div>
          <div class="delta">${uptimes ? downFor(uptimes[n]) : ""}</div>
        </section>`)}
      <section class="card tile">
        <h2 class="name">${t("health.median")}</h2>
        <div class=${`value ${uptimes ? "" : "waiting"}`}>${milliseconds(day?.p50)}</div>
        <div class="delta">p95 ${milliseconds(day?.p95)}, p99 ${milliseconds(day?.p99)}</div>
      </section>
    </div>`;
}

/** @param {any} one */
const downFor = (one) => (one.uptime === null ? t("health.unknown") : one.downSeconds ? t("health.down.for", { time: lasting(one.downSeconds * 1000) }) : t("health.down.never"));

/** @param {{target: any, phases: Record<string, number>}} props */
function LastCheck({ target, phases }) {
  const parts = Object.entries(phases ?? {});
  const all = parts.reduce((sum, one) => sum + one[1], 0) || 1;
  const widest = useMemo(() => parts.map((one) => (one[1] / all) * 100), [phases]);
  return html`
    <${Card} title=${t("health.last")} note=${html`<span title=${exactly(target.lastCheck)}>${when(target.lastCheck)}</span>`}>
      <dl class="facts spread">
        <dt>${t("health.response")}</dt><dd>${milliseconds(target.responseTime)}</dd>
        ${parts.map(([name, ms], n) => html`<dt>${t(`phase.${name}`)}</dt><dd><span class="meter"><i style=${`width:${widest[n].toFixed(1)}%`}></i></span>${milliseconds(ms)}</dd>`)}
        ${target.since && html`<dt>${t("health.state.since")}</dt><dd title=${exactly(target.since)}>${when(target.since)}</dd>`}
        ${target.enabled && target.nextCheck && html`<dt>${t("health.next")}</dt><dd>${when(target.nextCheck)}</dd>`}
        ${target.failures > 0 && html`<dt>${t("health.failures")}</dt><dd>${number(target.failures)}</dd>`}
        ${target.muted && html`<dt>${t("health.muted")}</dt><dd>${t(`health.muted.${target.muted}`)}</dd>`}
        ${target.certificateExpires && html`<dt>${t("health.certificate")}</dt><dd title=${exactly(target.certificateExpires)}>${t("health.in", { time: lasting(Date.parse(target.certificateExpires) - Date.now()) })}</dd>`}
      </dl>
    <//>`;
}
