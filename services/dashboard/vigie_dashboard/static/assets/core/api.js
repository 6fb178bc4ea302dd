// The public API, asked as who is looking, about the tenant that is looked at.
import { Problem, request } from "./http.js";
import { credential, refresh, state, tenant } from "./session.js";

export { Problem };

/** @typedef {import("./http.js").Options} Options */

/** A path with parameters; those without a value are left out.
 * @param {string} path @param {Record<string, string | number | boolean | string[] | null | undefined>} [params] */
export function withParams(path, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** Ask; a token that is refused is renewed once. Raises Problem.
 * @param {string} method @param {string} path @param {Options} [options] @returns {Promise<any>} */
export async function call(method, path, options = {}) {
  const asked = { tenant: state.value === "user" ? tenant.value : undefined, ...options };
  try {
    return await request(method, path, { ...asked, token: await credential() });
  } catch (e) {
    if (!(e instanceof Problem) || e.status !== 401 || state.value !== "user") throw e;
    return request(method, path, { ...asked, token: await refresh() });
  }
}

/** @param {string} path @param {Parameters<typeof withParams>[1]} [params] @param {AbortSignal} [signal] */
export const get = (path, params, signal) => call("GET", withParams(path, params), { signal });
/** @param {string} path @param {unknown} [body] @param {Options} [options] */
export const post = (path, body, options) => call("POST", path, { body, ...options });
/** @param {string} path @param {unknown} [body] @param {Options} [options] */
export const put = (path, body, options) => call("PUT", path, { body, ...options });
/** @param {string} path @param {unknown} [body] @param {Options} [options] */
export const patch = (path, body, options) => call("PATCH", path, { body, ...options });
/** @param {string} path @param {Options} [options] */
export const del = (path, options) => call("DELETE", path, options);
/** PromQL, by POST: an expression may be longer than an address. @param {string} path
 * @param {Record<string, string | number>} form @param {AbortSignal} [signal] */
export const ask = (path, form, signal) =>
  call("POST", path, { form: Object.fromEntries(Object.entries(form).map(([k, v]) => [k, String(v)])), signal });
