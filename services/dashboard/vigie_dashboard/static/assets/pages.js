// The pages: one line each. `permission` is what the caller needs in the tenant; `group` is the part of the navigation.
// How to add one: docs/how-to/add-a-page.md.

import { href } from "./core/router.js";
import { may } from "./core/session.js";

/** @typedef {{path: string, title: string, icon: import("./components/icons.js").IconName, permission: string | null,
 * group: "first" | "more" | "last", load: () => Promise<{default: any}>}} Page */

/** @type {Page[]} */
export const PAGES = [
  { path: "overview", title: "nav.overview", icon: "pulse", permission: "metrics.read", group: "first", load: () => import("./pages/overview/page.js") },
  { path: "alerts", title: "nav.alerts", icon: "bell", permission: "alerts.read", group: "first", load: () => import("./pages/alerts/page.js") },
  { path: "explore", title: "nav.explore", icon: "search", permission: "metrics.read", group: "first", load: () => import("./pages/explore/page.js") },
  { path: "health", title: "nav.health", icon: "heart", permission: "services.read", group: "first", load: () => import("./pages/health/page.js") },
  { path: "hosts", title: "nav.hosts", icon: "server", permission: "sites.read", group: "more", load: () => import("./pages/hosts/page.js") },
  { path: "apps", title: "nav.apps", icon: "grid", permission: "sites.read", group: "more", load: () => import("./pages/apps/page.js") },
  { path: "telemetry", title: "nav.telemetry", icon: "antenna", permission: "platform.read", group: "more", load: () => import("./pages/telemetry/page.js") },
  { path: "pipeline", title: "nav.pipeline", icon: "pipeline", permission: "platform.read", group: "more", load: () => import("./pages/pipeline/page.js") },
  { path: "administration", title: "nav.administration", icon: "person", permission: "tenant.read", group: "last", load: () => import("./pages/administration/page.js") },
  { path: "about", title: "nav.about", icon: "info", permission: null, group: "last", load: () => import("./pages/about/page.js") },
];

/** @param {Page} page */
export const allowed = (page) => page.permission === null || may(page.permission);

/** The address of a page, or undefined where it is not there, or not for this caller: then there is no link.
 * @param {string | string[]} path @param {Record<string, string | null | undefined>} [params] */
export function to(path, params) {
  const page = PAGES.find((one) => one.path === (typeof path === "string" ? path : path[0]));
  return page && allowed(page) ? href(path, params) : undefined;
}
