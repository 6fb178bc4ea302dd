// What administration asks for, and how what is typed becomes what is sent.
import { get } from "../../core/api.js";
import { tenant } from "../../core/session.js";

/** Below a tenant, the one that is looked at unless another is named. @param {string[]} parts @param {string} [id] */
export const below = (parts, id = tenant.value) => ["admin/tenants", ...[id, ...parts].map(encodeURIComponent)].join("/");

const PAGE = 100;

/** One page of a list, as `usePaged` wants it. @param {string} path @param {string} name of the list in the answer
 * @param {string | null} cursor @param {AbortSignal} stop @param {Record<string, string>} [more] */
export async function page(path, name, cursor, stop, more = {}) {
  const answer = await get(path, { limit: PAGE, cursor, ...more }, stop);
  return { rows: answer[name], next: answer.nextCursor };
}

/** @param {string} text */
export const lines = (text) => text.split(/[\n,]/).map((one) => one.trim()).filter(Boolean);

/** The end of a day in UTC, as the API takes times; null for no day. @param {string} day `2027-01-31` */
export const endOfDay = (day) => (day ? `${day}T23:59:59Z` : null);

/** @typedef {"good" | "replaced" | "expired" | "revoked"} KeyState */
/** What became of a key. @param {{revoked: string | null, expires: string | null, replacedBy: string | null}} key @param {number} now @returns {KeyState} */
export function keyState(key, now) {
  if (key.revoked) return "revoked";
  if (key.expires && Date.parse(key.expires) <= now) return "expired";
  return key.replacedBy ? "replaced" : "good";
}

/** A plan as a form has it: empty for no limit of its own. @param {Record<string, number | null>} plan */
export const typedPlan = (plan) => Object.fromEntries(LIMITS.map((name) => [name, plan[name] ?? ""]));
export const LIMITS = ["samplesPerS", "requestsPerS", "series", "rules", "targets", "notificationsPerDay"];
/** Those that may be without a limit of their own. */
export const OPEN_LIMITS = new Set(["samplesPerS", "requestsPerS", "notificationsPerDay"]);

/** What is sent of it: of those that must have a number, only what was said. @param {Record<string, any>} typed */
export function planOf(typed) {
  /** @type {Record<string, any>} */
  const plan = {};
  for (const name of LIMITS) {
    const text = String(typed[name] ?? "").trim();
    if (text) plan[name] = Number.isNaN(Number(text)) ? text : Number(text);
    else if (OPEN_LIMITS.has(name)) plan[name] = null;
  }
  return plan;
}

/** Entries of the audit log in which all words are found. @param {any[]} entries @param {{q: string, kind: string}} wanted */
export function matching(entries, { q, kind }) {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  return entries.filter((one) => {
    if (kind && one.action.split(".")[0] !== kind) return false;
    const text = `${one.actor.name} ${one.actor.address} ${one.action} ${one.target} ${JSON.stringify(one.changes)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** A change in short: `name: a → b`, or the value alone. @param {Record<string, any>} changes @returns {[string, string][]} */
export function changed(changes) {
  return Object.entries(changes).map(([name, value]) => {
    const pair = value && typeof value === "object" && !Array.isArray(value) && ("from" in value || "to" in value);
    return [name, pair ? `${short(value.from)} → ${short(value.to)}` : short(value)];
  });
}

const LONGEST = 160;
/** @param {unknown} value */
function short(value) {
  const text = value === undefined || value === null ? "–" : typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
