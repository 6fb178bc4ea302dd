// Who is looking. The access token is in this module's memory alone; the refresh token is in a cookie that no script
// reads. A session that ends says so: nobody becomes anonymous without having said so.
import { Problem, request } from "./http.js";
import { computed, signal } from "./ui.js";
import { route } from "./router.js";

/** @typedef {{tenant: string, role: string | null, permissions: string[], apps: string[], sites: string[]}} Holding */
/** @typedef {{id: string, name: string, kind: string, role: string | null, permissions: string[], tenants: Holding[]}} Me */
/** @typedef {"starting" | "anonymous" | "user" | "ended" | "unknown"} State */

/** Whose session this browser had, so that its end is noticed after a reload too. */
const KEPT = "vigie.user";
const LOCK = "vigie.session";
/** Before the token ends, by so many seconds, another one is asked for. */
const EARLY_S = 60;

/** @type {import("../vendor/signals.mjs").Signal<State>} */
export const state = signal("starting");
/** @type {import("../vendor/signals.mjs").Signal<Me | null>} */
export const me = signal(null);
/** Whether callers without a credential may read something here. */
export const openToAll = signal(false);
/** @type {Me | null} */
let nobody = null;
/** @type {{text: string, until: number} | null} */
let token = null;
/** @type {Promise<string | null> | null} */
let refreshing = null;
/** @type {Set<(token: string) => void>} */
const watchers = new Set();

/** The tenant that is looked at: of the address, else the only one, else the default one. */
export const tenant = computed(() => {
  const named = route.value.params.get("tenant");
  if (named) return named;
  const mine = me.value?.tenants ?? [];
  return mine.length ? mine[0].tenant : "default";
});
const permissions = computed(() => {
  const who = me.value;
  const there = who?.tenants.find((one) => one.tenant === tenant.value)?.permissions ?? [];
  return new Set([...(who?.permissions ?? []), ...there]);
});

/** Whether the caller may do this in the tenant that is looked at. @param {string} permission */
export const may = (permission) => permissions.value.has(permission);

/** Browsers have locks over TLS and on this machine alone; elsewhere tabs do not wait for each other.
 * @template T @param {() => Promise<T>} work @returns {Promise<T>} */
const locked = (work) => (navigator.locks ? /** @type {Promise<any>} */ (navigator.locks.request(LOCK, work)) : work());

/** Begin: go on with the session of the cookie, or without one. */
export async function startSession() {
  try {
    const found = await request("GET", "auth/session", {});
    nobody = found.anonymous;
    openToAll.value = found.anonymous.tenants.some((/** @type {Holding} */ one) => one.permissions.includes("metrics.read"));
    if (found.session) await refresh();
    else if (localStorage.getItem(KEPT)) state.value = "ended";
    else withoutLogin();
    return null;
  } catch (e) {
    if (state.value === "ended") return null; // said by `refresh`
    state.value = "unknown";
    return e;
  }
}

/** Go on as who has no credential: only when somebody has said so, or never had a session. */
export function withoutLogin() {
  localStorage.removeItem(KEPT);
  token = null;
  me.value = nobody;
  state.value = "anonymous";
}

/** @param {string} username @param {string} password @param {string} home */
export async function logIn(username, password, home) {
  const body = { username, password, ...(home ? { tenant: home } : {}) };
  await locked(async () => take(await request("POST", "auth/session", { body })));
  await whoAmI();
}

/** End the session on the server, by its cookie, also when the token is over. Raises when nobody can say that it ended. */
export async function logOut() {
  await locked(() => request("DELETE", "auth/session", {}));
  withoutLogin();
}

/** The token to send; null without a session. Raises when there is one and no token is to be had. */
export async function credential() {
  if (state.value === "anonymous" || state.value === "starting") return null;
  if (state.value === "ended") throw new Problem(401, "ended", "");
  if (token && token.until - Date.now() > EARLY_S * 1000) return token.text;
  return refresh();
}

/** Told of every new token. @param {(token: string) => void} watcher */
export function onToken(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Another token for the cookie. One tab at a time, because the cookie is good once. */
export function refresh() {
  refreshing ??= locked(another).finally(() => (refreshing = null));
  return refreshing;
}

async function another() {
  let name;
  try {
    const tokens = await request("PUT", "auth/session", { keepalive: true });
    take(tokens);
    name = tokens.name;
  } catch (e) {
    if (e instanceof Problem && (e.status === 401 || e.status === 409)) {
      token = null;
      state.value = "ended";
    } else if (token && token.until > Date.now()) return token.text; // still good: another try later
    throw e;
  }
  if (state.value !== "user" || me.value?.name !== name) await whoAmI(); // another tab may have logged somebody else in
  return token?.text ?? null;
}

/** @param {{accessToken: string, expiresIn: number, name: string}} tokens */
function take(tokens) {
  token = { text: tokens.accessToken, until: Date.now() + tokens.expiresIn * 1000 };
  localStorage.setItem(KEPT, tokens.name);
  for (const watcher of watchers) watcher(token.text);
}

async function whoAmI() {
  me.value = await request("GET", "auth/me", { token: token?.text });
  state.value = "user";
}

// What another tab does to the session holds here too.
addEventListener("storage", (event) => {
  if (event.key !== KEPT || state.value !== "user" || event.newValue === me.value?.name) return;
  token = null;
  state.value = "ended";
});
