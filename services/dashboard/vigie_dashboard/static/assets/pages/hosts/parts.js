// What hosts and sites share: numbers, meters, tiles, how long ago.
import { html } from "../../core/ui.js";
import { lasting, number, t } from "../../core/i18n.js";
import { setParams } from "../../core/router.js";
import { exactly, now } from "../../core/time.js";
import { Chart } from "../../components/chart.js";

/** @param {number | null | undefined} value @returns {string} */
export const percent = (value) => (value === null || value === undefined ? "–" : `${number(value, value >= 100 ? 0 : 1)}\u00a0%`);

/** @param {number | null | undefined} seconds @returns {string} */
export const during = (seconds) => (seconds === null || seconds === undefined ? "–" : lasting(seconds * 1_000));

/** How long ago something was reported. @param {{at: string}} props */
export const Ago = ({ at }) => html`<time datetime=${at} title=${exactly(at)}>${t("hosts.ago", { time: lasting(Math.max(0, now.value - Date.parse(at))) })}</time>`;

/** A bar that says how full something is; the number stands beside it. @param {{value: number | null | undefined, tone?: string}} props */
export const Meter = ({ value, tone = "" }) => html`<span class=${`meter whole ${tone}`} aria-hidden="true"><i style=${`width:${Math.min(100, Math.max(0, value ?? 0)).toFixed(1)}%`}></i></span>`;

/**
 * A number of now, how it got there, and what it is of.
 * @param {{name: string, value: string, note?: any, points?: import("./data.js").Point[], range?: import("../../core/time.js").Range, color?: string, tone?: string}} props
 */
export const Tile = ({ name, value, note, points, range, color = "series-1", tone = "" }) => html`
  <section class="card tile">
    <h2 class="name">${name}</h2>
    <div class=${`value ${tone}`}>${value}</div>
    ${points && range && html`<div class="spark" aria-hidden="true"><${Chart} label=${name} lines=${[{ label: name, points, color: tone || color, fill: true }]} from=${range.from} to=${range.to} height=${40} zoom=${false} spark=${true} /></div>`}
    <div class="delta">${note ?? ""}</div>
  </section>`;

/** The two ranges of the replaced panels, beside those of the bar. @param {{range: import("../../core/time.js").Range}} props */
export const Ranges = ({ range }) => html`
  <span class="modes" role="group" aria-label=${t("bar.range")}>${["30m", "1h"].map((one) => html`
    <button type="button" key=${one} aria-pressed=${range.text === one ? "true" : "false"} onClick=${() => setParams({ range: one }, true)}>${t(`hosts.range.${one}`)}</button>`)}</span>`;
