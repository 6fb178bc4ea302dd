// Short news of what one did, read out by screen readers.
import { html, signal } from "../core/ui.js";
import { t } from "../core/i18n.js";
import { sentence } from "./states.js";

const SHOWN_MS = 6_000;
const MOST = 4;
let count = 0;
/** @type {import("../vendor/signals.mjs").Signal<{id: number, text: string, tone: string}[]>} */
const toasts = signal([]);

/** @param {string} text @param {"ok" | "bad"} [tone] */
export function toast(text, tone = "ok") {
  const id = ++count;
  toasts.value = [...toasts.value.slice(1 - MOST), { id, text, tone }];
  setTimeout(() => drop(id), tone === "bad" ? SHOWN_MS * 2 : SHOWN_MS);
}

/** Do it, and say what went wrong. @param {() => Promise<unknown>} work @param {string} [done] */
export async function doing(work, done) {
  try {
    await work();
    if (done) toast(done);
    return true;
  } catch (e) {
    toast(sentence(e), "bad");
    return false;
  }
}

/** @param {number} id */
const drop = (id) => (toasts.value = toasts.value.filter((one) => one.id !== id));

export const Toasts = () => html`
  <div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map((one) => html`
      <div key=${one.id} class=${`toast ${one.tone}`}>${one.text}
        <button type="button" class="quiet" aria-label=${t("action.close")} onClick=${() => drop(one.id)}>×</button>
      </div>`)}
  </div>`;
