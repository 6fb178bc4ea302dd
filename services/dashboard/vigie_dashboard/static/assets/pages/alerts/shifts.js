// Who is on call when: a row a week, and the same as a table.
import { html } from "../../core/ui.js";
import { lasting, t } from "../../core/i18n.js";
import { day, exactly, when, zone } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { seriesColour } from "../../components/chart.js";
import { Table } from "../../components/table.js";
import { instant, wall } from "../health/fields.js";
import { parts } from "./oncall-data.js";

const WEEK = 7;

/** Midnights of the zone, from today on, a week apart. @param {number} now @param {number} weeks */
export function weeksFrom(now, weeks) {
  const today = Date.parse(`${wall(now, zone.value).slice(0, 10)}T00:00Z`);
  return Array.from({ length: weeks + 1 }, (_, n) => {
    const text = new Date(today + n * WEEK * 86_400_000).toISOString().slice(0, 16);
    return instant(text, zone.value) ?? today;
  });
}

/** @param {{found: {shifts: any[], gaps: any[]}, weeks: number[]}} props `weeks`: their beginnings, and the end of the last one */
export function Shifts({ found, weeks }) {
  const people = [...new Set(found.shifts.map((one) => one.person))];
  const whole = parts(found, weeks[0], weeks[weeks.length - 1]);
  const colour = (/** @type {string | null} */ person) => (person === null ? "bad" : seriesColour(people.indexOf(person)));
  return html`
    <div class="calendar" role="img" aria-label=${t("shifts.spoken", { people: people.join(", ") || t("oncall.nobody"), gaps: found.gaps.length })}>
      ${weeks.slice(0, -1).map((from, n) => html`
        <div class="week" key=${from}><small>${day(from)}</small>
          <div class="days">${parts(found, from, weeks[n + 1]).map((one) => html`
            <span key=${one.from} class=${`${one.person === null ? "none" : ""} ${one.override ? "override" : ""}`} title=${`${one.person ?? t("oncall.nobody")}, ${exactly(one.from)} – ${exactly(one.to)}`}
              style=${`flex:${(one.to - one.from) / 3_600_000};border-top-color:var(--${colour(one.person)})`}>${one.person ?? t("oncall.nobody")}</span>`)}</div>
        </div>`)}
    </div>
    <details class="fold"><summary>${t("shifts.table")}</summary>
      <${Table} caption=${t("shifts.table")} rows=${whole} rowKey=${(/** @type {any} */ one) => String(one.from)} columns=${[
        { key: "from", tight: true, title: t("shift.from"), render: (/** @type {any} */ one) => html`<span title=${exactly(one.from)}>${when(one.from)}</span>` },
        { key: "person", title: t("oncall.person"), wide: true, render: (/** @type {any} */ one) => one.person ?? html`<${Badge} tone="bad">${t("oncall.nobody")}<//>` },
        { key: "by", title: t("oncall.by"), render: (/** @type {any} */ one) => (one.override ? t("shift.override") : one.by) },
        { key: "length", tight: true, title: t("shift.length"), number: true, sort: (/** @type {any} */ one) => one.to - one.from, render: (/** @type {any} */ one) => lasting(one.to - one.from) },
      ]} />
    </details>`;
}
