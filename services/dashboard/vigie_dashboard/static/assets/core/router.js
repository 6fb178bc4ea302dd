// The address: which page, and what it is about. All is behind `#`, so that the app lies below any prefix.
import { computed, signal } from "./ui.js";

/** Parameters that go along from page to page. */
const SHARED = ["range", "tz", "tenant"];
export const HOME = "overview";

/** @typedef {{path: string, segments: string[], params: URLSearchParams}} Route */

/** @param {string} hash @returns {Route} */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  const segments = path.split("/").filter(Boolean).map(decoded);
  return { path: segments[0] ?? HOME, segments, params: new URLSearchParams(query) };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = signal(parse(location.hash));
addEventListener("hashchange", () => (route.value = parse(location.hash)));

/** The address of a page; what is shared stays. `null` leaves a parameter out.
 * @param {string | string[]} path @param {Record<string, string | null | undefined>} [params] */
export function href(path, params = {}) {
  const query = new URLSearchParams();
  for (const name of SHARED) {
    const value = route.value.params.get(name);
    if (value !== null) query.set(name, value);
  }
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const parts = typeof path === "string" ? [path] : path;
  const text = query.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Go to a page. @param {string | string[]} path @param {Record<string, string | null | undefined>} [params] */
export function go(path, params) {
  location.hash = href(path, params);
}

/** Change parameters of the page that is shown, without a step in the history unless `push`.
 * @param {Record<string, string | null | undefined>} changes @param {boolean} [push] */
export function setParams(changes, push = false) {
  const own = Object.fromEntries(route.value.params);
  const next = href(route.value.segments.length ? route.value.segments : HOME, { ...own, ...changes });
  if (next === location.hash) return;
  if (push) location.hash = next;
  else {
    history.replaceState(null, "", next);
    route.value = parse(next);
  }
}

/** A parameter as a signal. @param {string} name */
export const param = (name) => computed(() => route.value.params.get(name));
