// The targets: up or not, how their last hours were, and how fast they answer.
import { html, useState } from "../../core/ui.js";
import { ask } from "../../core/api.js";
import { number, t } from "../../core/i18n.js";
import { useLive } from "../../core/live.js";
import { useLoad, useTick } from "../../core/load.js";
import { to } from "../../pages.js";
import { State } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Empty, Failed, Loading } from "../../components/states.js";

const SHOWN = 8;
const BARS = 48;
const STEP_S = 1_800;
const PAST = "min by (target) (min_over_time(target_up[30m]))";
const UNKNOWN = Array(BARS).fill("n");
const EVERY_MS = 60_000;
const RANK = /** @type {Record<string, number>} */ ({ down: 0, degraded: 1, unknown: 2, maintenance: 3, up: 4 });

export function Health() {
  const [targets, setTargets] = useState(/** @type {Map<string, any> | null} */ (null));
  useLive("health", {}, (message) => setTargets((old) => taken(old, message)));
  const tick = useTick(EVERY_MS);
  const past = useLoad(lastDay, [tick]);
  const all = [...(targets?.values() ?? [])].sort((a, b) => (RANK[a.state] ?? 5) - (RANK[b.state] ?? 5) || a.name.localeCompare(b.name));
  const down = all.filter((one) => one.state === "down").length;
  return html`
    <${Card} title=${t("overview.health")} note=${targets && t("overview.health.note", { up: all.filter((one) => one.state === "up").length, all: all.length, down })}
      link=${to("health")} linkText=${t("overview.health.all", { count: all.length })}>
      ${targets === null && (past.error ? html`<${Failed} error=${past.error} retry=${past.reload} />` : html`<${Loading} height=${280} />`)}
      ${targets !== null && !all.length && html`<${Empty} title=${t("overview.health.none")} />`}
      ${all.slice(0, SHOWN).map((one) => html`<${Target} key=${one.id} target=${one} bars=${past.data?.get(one.name) ?? UNKNOWN} />`)}
    <//>`;
}

/** @param {Map<string, any> | null} old @param {any} message */
function taken(old, message) {
  const next = new Map(message.complete ? [] : (old ?? []));
  for (const one of message.data) next.set(one.id, one);
  for (const id of message.removed ?? []) next.delete(id);
  return next;
}

/** The last day in half hours, by target: `b` where it was down at some time, `n` where nothing is known.
 * @param {AbortSignal} stop @returns {Promise<Map<string, string[]>>} */
async function lastDay(stop) {
  const end = Math.floor(Date.now() / 1000);
  const answer = await ask("api/v1/query_range", { query: PAST, start: end - STEP_S * (BARS - 1), end, step: STEP_S }, stop);
  return new Map(answer.data.result.map((/** @type {any} */ one) => [one.metric.target, bars(one.values, end)]));
}

/** @param {[number, string][]} values @param {number} end */
export function bars(values, end) {
  const row = [...UNKNOWN];
  for (const [at, value] of values) row[BARS - 1 - Math.round((end - at) / STEP_S)] = Number(value) < 1 ? "b" : "";
  return row;
}

/** @param {{target: any, bars: string[]}} props */
function Target({ target, bars }) {
  const bad = bars.filter((one) => one === "b").length;
  return html`
    <div class="service">
      <a href=${to(["health", target.name])}>${target.name}</a>
      <span class="ticks" role="img" aria-label=${t("overview.health.bars", { count: bad })}>${bars.map((one) => html`<span class=${one}></span>`)}</span>
      <span class="num">${target.responseTime === null ? "–" : `${number(target.responseTime, target.responseTime < 10 ? 1 : 0)} ms`}</span>
      <span class="num"><${State} value=${target.state} /></span>
    </div>`;
}
