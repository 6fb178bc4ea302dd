// Schedules, people and chains between what the API has and what people type; and shifts as rows of a calendar.
import { lines } from "./routing.js";

export const ONCALL = "api/oncall";
/** @param {"schedules" | "people" | "chains"} kind @param {string} name @param {string} [more] */
export const pathOf = (kind, name, more = "") => `${ONCALL}/${kind}/${encodeURIComponent(name)}${more}`;
/** The version that was changed; of what is new: there must be none. @param {{version: number} | null} known */
export const match = (known) => ({ headers: { "if-match": `"${known?.version ?? 0}"` } });

/** `monday, friday 09:00-17:00`, or a time alone for every day. What is neither goes as it is: the API says what is wrong. @param {string} text */
export const restrictionsOf = (text) => lines(text).map((line) => {
  const [, days, from, to] = /^(.*?)\s*(\d{1,2}:\d{2})\s*-\s*(\d{1,2}:\d{2})$/.exec(line) ?? [null, line, "00:00", "24:00"];
  return { weekdays: days.toLowerCase().split(/[\s,]+/).filter(Boolean), from: from.padStart(5, "0"), to: to.padStart(5, "0") };
});
/** @param {{weekdays: string[], from: string, to: string}[]} all */
export const spelledRestrictions = (all) => all.map((one) => `${one.weekdays.join(", ")} ${one.from}-${one.to}`.trim()).join("\n");

/** @param {string} start a day */
export const emptyLayer = (start) => ({ name: "", people: "", start, handoff: "09:00", every: "1", unit: "week", timezone: "", restrictions: "" });

/** @param {any} schedule @param {string} zone @param {string} today */
export const scheduleValues = (schedule, zone, today) => ({
  name: schedule?.name ?? "", timezone: schedule?.timezone ?? zone, description: schedule?.description ?? "",
  layers: schedule?.layers.map((/** @type {any} */ one) => ({
    name: one.name, people: one.people.join("\n"), start: one.start, handoff: one.handoff, every: String(one.rotation.every), unit: one.rotation.unit,
    timezone: one.timezone ?? "", restrictions: spelledRestrictions(one.restrictions),
  })) ?? [{ ...emptyLayer(today), name: "weekly" }],
});

/** @param {ReturnType<typeof scheduleValues>} values */
export const scheduleBody = (values) => ({
  timezone: values.timezone.trim(), description: values.description,
  layers: values.layers.map((/** @type {any} */ one) => ({
    name: one.name.trim(), people: lines(one.people), start: one.start, handoff: one.handoff, rotation: { every: whole(one.every), unit: one.unit },
    timezone: one.timezone.trim() || null, restrictions: restrictionsOf(one.restrictions),
  })),
});

/** A number, or what stands there: the API says what is wrong with it. @param {string} text */
const whole = (text) => (/^\d+$/.test(text.trim()) ? Number(text) : text);

const KINDS = ["schedule", "person", "channel"];
/** `schedule db`, `person ana` a line. @param {string} text */
export const targetsOf = (text) => lines(text).map((line) => {
  const kind = KINDS.find((one) => line.startsWith(`${one} `));
  return kind ? { type: kind, name: line.slice(kind.length + 1).trim() } : { type: line, name: line };
});

/** @param {any} chain */
export const chainValues = (chain) => ({
  name: chain?.name ?? "", description: chain?.description ?? "", repeat: String(chain?.repeat ?? 0), repeatAfter: chain?.repeatAfter ?? "15m",
  steps: chain?.steps.map((/** @type {any} */ one) => ({ after: one.after, notify: one.notify.map((/** @type {any} */ to) => `${to.type} ${to.name}`).join("\n") })) ?? [{ after: "0s", notify: "" }],
});

/** @param {ReturnType<typeof chainValues>} values */
export const chainBody = (values) => ({
  description: values.description, repeat: whole(values.repeat), repeatAfter: values.repeatAfter.trim(),
  steps: values.steps.map((/** @type {any} */ one) => ({ after: one.after.trim(), notify: targetsOf(one.notify) })),
});

/** @typedef {{from: number, to: number, person: string | null, by: string, override: boolean}} Part */

/** Everything between two moments, one after the other: shifts, and where nobody is. @param {{shifts: any[], gaps: any[]}} found @param {number} from @param {number} to @returns {Part[]} */
export function parts(found, from, to) {
  const all = [...found.shifts.map((one) => ({ ...one })), ...found.gaps.map((one) => ({ ...one, person: null, by: "", override: false }))];
  return all
    .map((one) => ({ from: Math.max(from, Date.parse(one.from)), to: Math.min(to, Date.parse(one.to)), person: one.person, by: one.by, override: Boolean(one.override) }))
    .filter((one) => one.from < one.to)
    .sort((a, b) => a.from - b.from);
}
