// The alerts that are open now, live: one list for the count in the navigation and for every page.
import { computed, effect, signal } from "./ui.js";
import { listen } from "./live.js";
import { may, state, tenant } from "./session.js";

/** @typedef {{id: string, type: string, severity: string, status: string, message: string, createdAt: string,
 * resolvedAt: string | null, acknowledgedBy: string | null, acknowledgedUntil: string | null, labels: Record<string, string>,
 * value: number | null, ruleId: string, note: string}} Alert */

/** All that is open, by id; null before the first message.
 * @type {import("../vendor/signals.mjs").Signal<Map<string, Alert> | null>} */
export const open = signal(null);
/** Grows with every news of alerts. */
export const alertNews = signal(0);

const OPEN = new Set(["active", "acknowledged"]);
/** How many fire and nobody has them. */
export const firing = computed(() => [...(open.value?.values() ?? [])].filter((one) => one.status === "active").length);

/** @param {any} message */
function take(message) {
  if (message.type !== "alerts" && message.type !== "alert") return;
  const whole = message.type === "alerts";
  const next = new Map(whole ? [] : (open.value ?? []));
  for (const one of whole ? message.data : [message.data]) {
    if (OPEN.has(one.status)) next.set(one.id, one);
    else next.delete(one.id);
  }
  open.value = next;
  tell();
}

const NEWS_MS = 1_000;
let told = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let telling;

/** In a storm of alerts pages ask once a second. */
function tell() {
  telling ??= setTimeout(() => {
    telling = undefined;
    told = Date.now();
    alertNews.value += 1;
  }, Math.max(0, told + NEWS_MS - Date.now()));
}

/** @type {(() => void) | null} */
let end = null;
effect(() => {
  const asked = (state.value === "user" || state.value === "anonymous") && may("alerts.read") ? tenant.value : null;
  end?.();
  open.value = null;
  end = asked === null ? null : listen("alerts", {}, take);
});
