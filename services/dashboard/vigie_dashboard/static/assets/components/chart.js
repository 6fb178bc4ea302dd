// Lines over time, by uPlot: colours of the design sheet, times of the chosen zone, one cursor for all charts of a page.
import uPlot from "../vendor/uplot.mjs";
import { html, signal, useEffect, useMemo, useRef } from "../core/ui.js";
import { number, t } from "../core/i18n.js";
import { setParams } from "../core/router.js";
import { colour, painted } from "../core/theme.js";
import { clock, exactly, zone } from "../core/time.js";

/** @typedef {[number, number | null]} Point milliseconds, number */
/** @typedef {{label: string, points: Point[], color: string, dash?: boolean, fill?: boolean, width?: number}} Line */
/** @typedef {{from: number, to: number | null, label: string, tone?: "bad" | "warn" | "calm"}} Mark */
/** @typedef {{value: number, label: string, color?: string}} Threshold */

const SYNC = uPlot.sync("page");
const SERIES = 5;

/** The name of the colour of the n-th line. @param {number} n */
export const seriesColour = (n) => `series-${(n % SERIES) + 1}`;

/**
 * @param {{label: string, lines: Line[], from: number, to: number, height?: number, format?: (value: number | null) => string,
 * thresholds?: Threshold[], marks?: Mark[], zoom?: boolean, spark?: boolean, key?: string}} props
 */
export function Chart({ label, lines, from, to, height = 200, format = number, thresholds = [], marks = [], zoom = true, spark = false }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const drawn = useRef({ from, to, thresholds, marks, lines, format });
  drawn.current = { from, to, thresholds, marks, lines, format };
  const at = useMemo(() => signal(/** @type {number | null} */ (null)), []);
  const shape = lines.map((one) => `${one.label}|${one.color}|${one.dash}|${one.fill}`).join("\n");
  const data = useMemo(() => aligned(lines), [lines]);
  const skin = `${painted.value} ${zone.value}`;

  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const made = new uPlot(options(element, height, drawn, at, zoom, spark), data, element);
    plot.current = made;
    const sized = new ResizeObserver(() => made.setSize({ width: element.clientWidth || 300, height }));
    sized.observe(element);
    return () => {
      sized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, skin, height, zoom, spark]);
  useEffect(() => {
    plot.current?.batch(() => {
      plot.current?.setData(data, false);
      plot.current?.setScale("x", { min: from / 1000, max: to / 1000 });
    });
  }, [data, from, to, marks, thresholds]);

  return html`
    <figure class="chart">
      <div ref=${box} role="img" aria-label=${spoken(label, lines, format)} style=${`height:${height}px`} class=${spark ? "plot spark" : "plot"}></div>
      ${!spark && html`<${Key} lines=${lines} at=${at} data=${data} format=${format} thresholds=${thresholds} />`}
    </figure>`;
}

/** What a screen reader says of it: each line's last value. @param {string} label @param {Line[]} lines
 * @param {(value: number | null) => string} format */
function spoken(label, lines, format) {
  const ends = lines.slice(0, 10).map((one) => `${one.label} ${format(one.points.findLast((point) => point[1] !== null)?.[1] ?? null)}`);
  return `${label}. ${ends.join(", ")}`;
}

/** The lines on one row of times. @param {Line[]} lines @returns {any} */
export function aligned(lines) {
  if (!lines.length) return [[]];
  return uPlot.join(lines.map((one) => [one.points.map((point) => point[0] / 1000), one.points.map((point) => point[1])]));
}

/** What each line is, and its value under the cursor. @param {{lines: Line[], at: any, data: any, format: (value: number | null) => string, thresholds: Threshold[]}} props */
function Key({ lines, at, data, format, thresholds }) {
  const index = at.value;
  const time = index === null ? null : data[0][index];
  return html`
    <div class="key">
      ${lines.map((one, n) => html`<span key=${one.label}><i class=${one.dash ? "dash" : ""} style=${`background:var(--${one.color})`}></i>${one.label}${index !== null && html` <b>${format(data[n + 1][index] ?? null)}</b>`}</span>`)}
      ${thresholds.map((one) => html`<span><i style=${`background:var(--${one.color ?? "bad"})`}></i>${one.label}</span>`)}
      ${time !== null && time !== undefined && html`<span class="at">${exactly(time * 1000)}</span>`}
    </div>`;
}

/** @param {HTMLElement} element @param {number} height @param {{current: any}} drawn @param {any} at @param {boolean} zoom
 * @param {boolean} spark @returns {any} */
function options(element, height, drawn, at, zoom, spark) {
  const ink = colour("ink-3");
  const axis = { stroke: ink, font: `11px ${colour("font")}`, ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
  const stamp = (/** @type {any} */ _plot, /** @type {number[]} */ splits, /** @type {any} */ _axis, /** @type {any} */ _space, /** @type {number} */ step) =>
    splits.map((one) => (step < 60 ? clock(one * 1000, true) : step < 86_400 ? clock(one * 1000) : new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short", timeZone: zone.value }).format(one * 1000)));
  return {
    width: element.clientWidth || 300,
    height,
    padding: spark ? [4, 0, 2, 0] : [8, 18, 0, 0],
    legend: { show: false },
    tzDate: (/** @type {number} */ seconds) => uPlot.tzDate(new Date(seconds * 1000), zone.value),
    cursor: {
      show: !spark,
      sync: spark ? undefined : { key: SYNC.key },
      drag: { x: zoom, y: false, setScale: false },
      points: { size: 6 },
    },
    select: { show: zoom && !spark },
    scales: { x: { time: true, auto: false, range: () => [drawn.current.from / 1000, drawn.current.to / 1000] }, y: { range: extent(drawn) } },
    axes: spark
      ? [{ show: false }, { show: false }]
      : [
          { ...axis, size: 26, values: stamp, grid: { show: false }, space: 70 },
          { ...axis, size: 58, values: (/** @type {any} */ _plot, /** @type {number[]} */ splits) => splits.map((one) => drawn.current.format(one)), space: 36 },
        ],
    series: [{}, ...drawn.current.lines.map((/** @type {Line} */ one) => lineOf(one))],
    hooks: {
      setCursor: [(/** @type {uPlot} */ made) => (at.value = made.cursor.idx ?? null)],
      setSelect: [(/** @type {uPlot} */ made) => zoomed(made)],
      drawAxes: [(/** @type {uPlot} */ made) => drawMarks(made, drawn.current.marks)],
      draw: [(/** @type {uPlot} */ made) => drawThresholds(made, drawn.current.thresholds)],
    },
  };
}

/** @param {Line} one */
function lineOf(one) {
  const stroke = colour(one.color);
  return {
    label: one.label,
    stroke,
    width: one.width ?? 1.6,
    dash: one.dash ? [4, 4] : undefined,
    fill: one.fill ? `color-mix(in srgb, ${stroke} 14%, transparent)` : undefined,
    points: { show: alone, size: 6, fill: stroke },
    spanGaps: false,
  };
}

/** One point makes no line: it is drawn itself. @param {uPlot} made @param {number} series */
const alone = (made, series) => Array.from(made.data[series] ?? []).filter((one) => one !== null && one !== undefined).length === 1;

/** From zero, unless there is less; up to what is shown, thresholds among it. @param {{current: any}} drawn */
const extent = (drawn) => (/** @type {any} */ _plot, /** @type {number | null} */ low, /** @type {number | null} */ high) => {
  const limits = drawn.current.thresholds.map((/** @type {Threshold} */ one) => one.value);
  const least = Math.min(0, low ?? 0, ...limits);
  const most = Math.max(high ?? 0, ...limits);
  return [least < 0 ? least * 1.08 : 0, most > least ? most + (most - least) * 0.08 : least + 1];
};

/** A part that was drawn over becomes the range of the page. @param {uPlot} made */
function zoomed(made) {
  const { left, width } = made.select;
  if (width < 8) return;
  const [from, to] = [left, left + width].map((pixel) => Math.round(made.posToVal(pixel, "x") * 1000));
  made.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (to - from >= 10_000) setParams({ range: `${from}..${to}` }, true);
}

/** Times that something went on, as bands behind the lines. @param {uPlot} made @param {Mark[]} marks */
function drawMarks(made, marks) {
  const { ctx, bbox } = made;
  ctx.save();
  for (const one of marks) {
    const end = one.to ?? Date.now();
    const left = Math.max(bbox.left, made.valToPos(one.from / 1000, "x", true));
    const right = Math.min(bbox.left + bbox.width, made.valToPos(end / 1000, "x", true));
    if (right < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.fillStyle = colour(`${one.tone ?? "bad"}-soft`);
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), bbox.height);
    ctx.fillStyle = colour(one.tone ?? "bad");
    ctx.fillRect(left, bbox.top, Math.max(2, right - left), 2 * devicePixelRatio);
    ctx.font = `${11 * devicePixelRatio}px ${colour("font")}`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    const room = bbox.left + bbox.width - left - 4;
    if (ctx.measureText(one.label).width < room) ctx.fillText(one.label, left + 4 * devicePixelRatio, bbox.top + 5 * devicePixelRatio);
  }
  ctx.restore();
}

/** @param {uPlot} made @param {Threshold[]} thresholds */
function drawThresholds(made, thresholds) {
  const { ctx, bbox } = made;
  ctx.save();
  for (const one of thresholds) {
    const y = made.valToPos(one.value, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = colour(one.color ?? "bad");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

/** What stands in the place of a chart without a point. */
export const noPoints = () => t("chart.empty");
