// One request, and what went wrong with it.

/** An error as the API tells it (RFC 9457), or as a request that never arrived. */
export class Problem extends Error {
  /** @param {number} status 0: the server was not reached @param {string} kind the end of the problem type
   * @param {string} detail @param {{field?: string, reason?: string}[]} [errors] @param {number} [retryAfter] */
  constructor(status, kind, detail, errors = [], retryAfter = undefined) {
    super(detail || kind);
    this.status = status;
    this.kind = kind;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** What is wrong with a field of a form, or with something in it. @param {string} field */
  of(field) {
    const inside = [".", "["].map((one) => field + one);
    return this.errors.filter((one) => one.field === field || inside.some((begin) => one.field?.startsWith(begin))).map((one) => one.reason).join("; ");
  }
}

/** @typedef {{body?: unknown, form?: Record<string, string>, token?: string | null, tenant?: string, signal?: AbortSignal,
 * keepalive?: boolean, headers?: Record<string, string>, text?: boolean}} Options */

/** Send a request below the place where the app lies; its JSON, or null when there is none. Raises Problem.
 * @param {string} method @param {string} path without a slash at its beginning @param {Options} options
 * @returns {Promise<any>} */
export async function request(method, path, options) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json", ...options.headers };
  if (options.token) headers.authorization = `Bearer ${options.token}`;
  if (options.tenant) headers["x-scope-orgid"] = options.tenant;
  /** @type {string | URLSearchParams | undefined} */
  let body;
  if (options.form) body = new URLSearchParams(options.form);
  else if (typeof options.body === "string") body = options.body;
  else if (options.body !== undefined) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(options.body);
  }
  let answer;
  try {
    answer = await fetch(new URL(path, document.baseURI), {
      method, headers, body, signal: options.signal, keepalive: options.keepalive, credentials: "same-origin",
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw new Problem(0, "unreachable", "");
  }
  if (answer.ok && options.text) return answer.text();
  const text = await answer.text();
  const content = parsed(text);
  if (answer.ok) return content;
  throw problemOf(answer, content);
}

/** @param {string} text */
function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** @param {Response} answer @param {any} content */
function problemOf(answer, content) {
  const kind = content?.errorType ?? String(content?.type ?? "").split("/").pop() ?? "";
  const detail = content?.detail ?? content?.error ?? answer.statusText;
  const wait = Number(answer.headers.get("retry-after"));
  return new Problem(answer.status, kind, String(detail), content?.errors ?? [], wait || undefined);
}
