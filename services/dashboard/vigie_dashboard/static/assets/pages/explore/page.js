// Any question to the numbers: by PromQL or by choosing; as a chart, as a table, as a file. The address is the question.
import { html, useEffect, useMemo, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { number, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { param, route, setParams } from "../../core/router.js";
import { clock, parseRange, rangeText } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Chart, seriesColour } from "../../components/chart.js";
import { Problem } from "../../core/http.js";
import { Empty, Failed, Loading, sentence } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { toast } from "../../components/toasts.js";
import { byChoice, byExpression } from "./asking.js";
import { Builder } from "./builder.js";
import { Editor } from "./editor.js";
import { csv, promql } from "./expression.js";

const EVERY_MS = 15_000;
const DRAWN = 40;

/** The question of the address. */
function asked() {
  const params = route.value.params;
  const built = { metric: params.get("metric") ?? "", fn: params.get("fn") ?? "avg", by: params.get("by") ?? "", match: params.get("match") ?? "" };
  return { mode: params.get("mode") === "builder" ? "builder" : "promql", expr: params.get("expr") ?? "", built };
}

export default function Explore() {
  const question = asked();
  const { mode, expr, built } = question;
  const [text, setText] = useState(expr);
  const [draft, setDraft] = useState(built);
  useEffect(() => setText(expr), [expr]);
  useEffect(() => setDraft(built), [built.metric, built.fn, built.by, built.match]);
  const key = mode === "builder" ? (built.metric ? JSON.stringify(built) : "") : expr;
  const [turn, setTurn] = useState(0);
  const live = parseRange(rangeText.value, 0).live;
  const tick = useTick(key && live ? EVERY_MS : 0);
  const range = useMemo(() => parseRange(param("range").value, Date.now()), [rangeText.value, tick, turn, key]);
  const answer = useLoad(async (stop) => (key ? (mode === "builder" ? byChoice(built, range, stop) : byExpression(expr, range, stop)) : null), [key, mode, rangeText.value, tick, turn]);
  const run = () => {
    setTurn((one) => one + 1);
    setParams(mode === "builder" ? { ...draft } : { expr: text.trim() }, true);
  };
  const wrong = answer.error instanceof Problem && [400, 422].includes(answer.error.status) ? sentence(answer.error) : "";
  return html`
    <div class="stack">
      <${Card} title=${t("explore.question")} actions=${html`<${Modes} mode=${mode} draft=${draft} />`}>
        ${mode === "builder"
          ? html`<${Builder} built=${draft} onChange=${(/** @type {any} */ changes) => setDraft({ ...draft, ...changes })} onRun=${run} />`
          : html`<${Editor} value=${text} onInput=${setText} onRun=${run} error=${wrong} />
            <div class="buttons"><button type="button" class="primary" onClick=${run}>${t("explore.run")}</button></div>`}
      <//>
      <${Card} title=${t("explore.answer")} note=${answer.data && facts(answer.data)} actions=${answer.data?.lines.length ? html`<${Ways} lines=${answer.data.lines} />` : null}>
        ${body(answer, key, range, mode === "builder" ? "" : wrong)}
      <//>
    </div>`;
}

/** @param {{mode: string, draft: import("./expression.js").Built}} props */
function Modes({ mode, draft }) {
  const toText = async () => {
    const known = await get("api/v1/metadata", { metric: draft.metric }).catch(() => null);
    const kind = known?.data?.[draft.metric]?.[0]?.type ?? "";
    setParams({ mode: null, ...(draft.metric ? { expr: promql(draft, kind) } : {}) }, true);
  };
  return html`
    <span class="modes" role="group" aria-label=${t("explore.way")}>
      <button type="button" aria-pressed=${mode === "promql" ? "true" : "false"} onClick=${() => mode === "promql" || toText()}>PromQL</button>
      <button type="button" aria-pressed=${mode === "builder" ? "true" : "false"} onClick=${() => setParams({ mode: "builder" }, true)}>${t("explore.builder")}</button>
    </span>`;
}

/** What the numbers are worth. @param {import("./asking.js").Answer} data */
function facts(data) {
  const parts = [t("explore.step", { seconds: data.step })];
  if (data.tier) parts.push(t("explore.tier", { tier: data.tier }));
  if (data.errorBound === null) parts.push(t("explore.bound.none"));
  else if (data.errorBound !== undefined) parts.push(data.errorBound === 0 ? t("explore.bound.exact") : t("explore.bound", { percent: number(data.errorBound * 100) }));
  return parts.join("; ");
}

/** @param {{lines: import("./asking.js").Line[]}} props */
function Ways({ lines }) {
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv(lines)], { type: "text/csv" }));
    link.download = "vigie.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
  };
  const share = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      toast(t("explore.shared"));
    } catch {
      toast(t("explore.shared.not"), "bad");
    }
  };
  return html`<button type="button" onClick=${save}>CSV</button><button type="button" onClick=${share}>${t("explore.share")}</button>`;
}

/** @param {import("../../core/load.js").Loaded<import("./asking.js").Answer | null>} answer @param {string} key
 * @param {import("../../core/time.js").Range} range @param {string} wrong said elsewhere already */
function body(answer, key, range, wrong) {
  if (!key) return html`<${Empty} title=${t("explore.begin")} height=${260} />`;
  if (answer.error) return wrong ? html`<${Empty} title=${t("explore.wrong")} height=${260} />` : html`<${Failed} error=${answer.error} retry=${answer.reload} height=${260} />`;
  if (!answer.data) return html`<${Loading} height=${360} />`;
  if (!answer.data.lines.length) return html`<${Empty} title=${t("explore.nothing")} height=${260} />`;
  return html`<${Answer} answer=${answer.data} range=${range} />`;
}

/** @param {{answer: import("./asking.js").Answer, range: import("../../core/time.js").Range}} props */
function Answer({ answer, range }) {
  const [only, setOnly] = useState(/** @type {string | null} */ (null));
  const drawn = useMemo(() => answer.lines.slice(0, DRAWN).map((one, n) => ({ label: one.label, color: seriesColour(n), points: one.points })).filter((one) => only === null || one.label === only), [answer, only]);
  return html`
    ${answer.notes.map((one) => html`<p class="notice" role="note">${one}</p>`)}
    ${answer.more && html`<p class="notice warn">${t("explore.more", { count: answer.lines.length })}</p>`}
    <${Chart} label=${t("explore.answer")} lines=${drawn} from=${range.from} to=${range.to} height=${300} />
    <div class="after"><${Table} caption=${t("explore.table")} columns=${columns()} rows=${answer.lines} rowKey=${(/** @type {any} */ one) => one.label}
      onOpen=${(/** @type {any} */ one) => setOnly(only === one.label ? null : one.label)} sort=${{ key: "last", down: true }} /></div>`;
}

const columns = () => [
  { key: "label", title: t("explore.series"), wide: true, render: (/** @type {any} */ one) => html`<code>${one.label}</code>` },
  ...["min", "mean", "max"].map((key) => ({ key, title: t(`explore.${key}`), number: true, sort: (/** @type {any} */ one) => stats(one)[key], render: (/** @type {any} */ one) => number(stats(one)[key]) })),
  { key: "last", title: t("explore.last"), number: true, sort: (/** @type {any} */ one) => stats(one).last, render: (/** @type {any} */ one) => html`<span title=${clock(stats(one).at, true)}>${number(stats(one).last)}</span>` },
];

/** @param {import("./asking.js").Line} line @returns {Record<string, number | null>} */
function stats(line) {
  const known = line.points.filter((point) => point[1] !== null);
  const values = known.map((point) => Number(point[1]));
  if (!values.length) return { min: null, mean: null, max: null, last: null, at: null };
  return {
    min: Math.min(...values), max: Math.max(...values), mean: values.reduce((sum, one) => sum + one, 0) / values.length,
    last: values[values.length - 1], at: known[known.length - 1][0],
  };
}
