// About the pipeline: what goes through, how far it is behind, what was set aside, and which promises are proven.
import { html, signal, useEffect } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { compact, number, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { clock } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Chart, seriesColour } from "../../components/chart.js";
import { Loaded } from "../../components/states.js";
import { DeadLetters } from "./dead.js";
import { lags, looked, rates, reader, remembered, short } from "./data.js";
import { Logs, Readers } from "./logs.js";
import { Promises } from "./promises.js";

const EVERY_MS = 5_000;
/** Charts show what was seen, from two to ten minutes. */
const [LEAST_MS, MOST_MS] = [120_000, 600_000];
/** Topics that have a line of their own; the others move when somebody changes something. */
const DRAWN = ["samples", "reports", "checks", "commands"];

/** Outlives the page: who comes back sees what was before. @type {import("../../vendor/signals.mjs").Signal<import("./data.js").Look[]>} */
const looks = signal([]);

export default function Pipeline() {
  const tick = useTick(EVERY_MS);
  const now = useLoad((stop) => get("admin/global/pipeline", {}, stop), [tick]);
  useEffect(() => {
    if (now.data?.kafka.reached) looks.value = remembered(looks.value, looked(now.data));
  }, [now.data]);
  return html`
    <${Tiles} state=${now.data} />
    ${now.data && !now.data.kafka.reached && html`<p class="notice bad" role="alert">${t("pipeline.away", { reason: now.data.kafka.reason })}</p>`}
    <div class="grid">
      <div class="stack">
        <${Card} title=${t("pipeline.through")} note=${t("pipeline.since")}>
          <${Loaded} of=${now} height=${220}>${(/** @type {any} */ data) => html`<${Through} state=${data} />`}<//>
        <//>
        <${Card} title=${t("pipeline.behind")} note=${t("pipeline.since")}>
          <${Loaded} of=${now} height=${180}>${(/** @type {any} */ data) => html`<${Behind} state=${data} />`}<//>
        <//>
      </div>
      <div class="stack">
        <${Card} title=${t("pipeline.promises")} note=${now.data && clock(now.data.timestamp, true)}>
          <${Loaded} of=${now} height=${360}>${(/** @type {any} */ data) => html`<${Promises} promises=${data.promises} />`}<//>
          <p class="hint after">${t("pipeline.promises.more")}</p>
        <//>
      </div>
    </div>
    <div class="stack after">
      ${now.data && html`<${Readers} readers=${now.data.readers} /><${Logs} topics=${now.data.topics} rates=${current(now.data)} />`}
      <${DeadLetters} written=${now.data?.topics.find((/** @type {any} */ one) => short(one.topic) === "dead")?.written} />
    </div>`;
}

/** Records per second of each log, as of the last two looks. @param {any} state */
const current = (state) => Object.fromEntries(state.topics.map((/** @type {any} */ one) => [one.topic, rates(looks.value.slice(-2), one.topic)[0]?.[1] ?? null]));

/** @param {any} state */
const proofOf = (state, /** @type {string} */ name) => state?.promises.find((/** @type {any} */ one) => one.name === name)?.numbers;

/** @param {{state: any}} props */
function Tiles({ state }) {
  const samples = state?.topics.find((/** @type {any} */ one) => short(one.topic) === "samples")?.topic;
  const rate = state && samples ? current(state)[samples] : null;
  const lag = state?.kafka.reached ? state.readers.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.lag, 0) : null;
  const letters = proofOf(state, "set-aside")?.letters;
  /** @type {[string, string, string][]} */
  const tiles = [
    ["samples", state ? compact(state.today.samples) : "–", t("pipeline.tile.samples.of", { refused: state?.today.rejected ?? 0 })],
    ["requests", state ? compact(state.today.requests) : "–", t("pipeline.tile.requests.of", { throttled: state?.today.throttled ?? 0 })],
    ["rate", number(rate), t("pipeline.tile.rate.of")],
    ["lag", number(lag), t("pipeline.tile.lag.of")],
    ["dead", number(letters ?? null), t("pipeline.tile.dead.of", { pending: proofOf(state, "alerts")?.pending ?? 0 })],
  ];
  return html`
    <div class="tiles">${tiles.map(([name, value, note]) => html`
      <section class="card tile" key=${name}>
        <h2 class="name">${t(`pipeline.tile.${name}`)}</h2>
        <div class=${`value ${state ? "" : "waiting"}`}>${value}</div>
        <div class="delta">${note}</div>
      </section>`)}
    </div>`;
}

/** @param {number} to */
const since = (to) => Math.max(to - MOST_MS, Math.min(to - LEAST_MS, looks.value[0]?.at ?? to));

/** @param {{state: any}} props */
function Through({ state }) {
  const to = Date.parse(state.timestamp);
  const topics = state.topics.filter((/** @type {any} */ one) => DRAWN.includes(short(one.topic)));
  const lines = topics.map((/** @type {any} */ one, /** @type {number} */ n) => ({ label: short(one.topic), color: seriesColour(n), points: rates(looks.value, one.topic) }));
  return html`<${Chart} label=${t("pipeline.through")} lines=${lines} from=${since(to)} to=${to} height=${200} zoom=${false} />`;
}

/** @param {{state: any}} props */
function Behind({ state }) {
  const to = Date.parse(state.timestamp);
  const lines = state.readers.map((/** @type {any} */ one, /** @type {number} */ n) => ({ label: reader(one), color: seriesColour(n), points: lags(looks.value, reader(one)) }));
  return html`<${Chart} label=${t("pipeline.behind")} lines=${lines} from=${since(to)} to=${to} height=${160} zoom=${false} />`;
}
