// What stands where content will be, or cannot be.
import { html } from "../core/ui.js";
import { Problem } from "../core/http.js";
import { t } from "../core/i18n.js";

/** @param {unknown} error @returns {string} */
export function sentence(error) {
  if (!(error instanceof Problem)) return t("error.bug", { detail: String(error) });
  if (error.status === 0) return t("error.unreachable");
  if (error.kind === "ended") return t("session.ended");
  if (error.status === 401) return t("error.unauthenticated", { detail: error.detail });
  if (error.status === 403) return t("error.forbidden", { detail: error.detail });
  if (error.status === 429) return t("error.throttled", { seconds: error.retryAfter ?? 60 });
  const wrong = error.errors.map((one) => [one.field, one.reason].filter(Boolean).join(": ")).filter(Boolean);
  return wrong.length > 1 ? wrong.join("; ") : error.detail;
}

/** Keeps the place of what is loaded, so that nothing jumps. @param {{height?: number, label?: string}} props */
export const Loading = ({ height = 120, label }) => html`
  <div class="loading" style=${`min-height:${height}px`} role="status"><span class="sr-only">${label ?? t("state.loading")}</span></div>`;

/** @param {{title: string, children?: any, height?: number}} props */
export const Empty = ({ title, children, height = 0 }) => html`
  <div class="empty" style=${height ? `min-height:${height}px` : ""}><p>${title}</p>${children}</div>`;

/** @param {{error: unknown, retry?: () => void, height?: number}} props */
export const Failed = ({ error, retry, height = 0 }) => html`
  <div class="failed" role="alert" style=${height ? `min-height:${height}px` : ""}>
    <p>${sentence(error)}</p>
    ${retry && html`<button type="button" onClick=${retry}>${t("action.retry")}</button>`}
  </div>`;

/**
 * The content of something loaded, or what stands in its place; an error beside old content is said above it.
 * @param {{of: {data: any, error: any, loading: boolean, reload: () => void}, height?: number, children: (data: any) => any}} props
 */
export function Loaded({ of, height, children }) {
  if (of.data === null || of.data === undefined) {
    return of.error ? html`<${Failed} error=${of.error} retry=${of.reload} height=${height} />` : html`<${Loading} height=${height} />`;
  }
  return html`${of.error && html`<p class="stale" role="status">${t("state.stale")} ${sentence(of.error)}</p>`}${children(of.data)}`;
}
