// A target as a form has it, and as the API takes it.

/** @typedef {Record<string, any>} Values */

export const KINDS = /** @type {const} */ (["http", "tcp", "tls", "dns", "icmp", "grpc", "websocket", "kafka", "mongodb", "redis", "smtp", "heartbeat"]);
export const EXAMPLES = /** @type {Record<string, string>} */ ({
  http: "https://shop.example.com/health", tcp: "tcp://db.example.com:5432", tls: "tls://shop.example.com:443", dns: "dns://192.0.2.53/example.com",
  icmp: "icmp://gateway.example.com", grpc: "grpcs://api.example.com", websocket: "wss://live.example.com/ws", kafka: "kafka://broker.example.com:9092",
  mongodb: "mongodb://db.example.com/?tls=true", redis: "rediss://cache.example.com:6380", smtp: "smtp://mail.example.com:587",
});
/** What only a kind knows. */
export const OPTIONS = /** @type {Record<string, string[]>} */ ({
  dns: ["recordType", "transport", "rcode"], grpc: ["service", "serverName"], http: ["serverName"], kafka: ["topic", "saslMechanism", "serverName"],
  mongodb: ["serverName"], redis: ["serverName"], smtp: ["starttls", "serverName"], tcp: ["send"], tls: ["serverName"], websocket: ["subprotocol", "send", "serverName"],
});
/** Which conditions and credentials a kind looks at. */
const SAID = new Set(["http", "tcp", "dns", "smtp", "websocket"]);
const JSON_KINDS = new Set(["http", "tcp", "websocket"]);
const TLS = new Set(["http", "tls", "grpc", "websocket", "kafka", "mongodb", "redis", "smtp"]);
const LOGIN = new Set(["http", "kafka", "mongodb", "redis"]);
const HEADERS = new Set(["http", "grpc", "websocket"]);
/** @param {string} kind */
export const has = (kind) => ({ text: SAID.has(kind), json: JSON_KINDS.has(kind), tls: TLS.has(kind), login: LOGIN.has(kind), headers: HEADERS.has(kind), http: kind === "http" });

const DAY_MS = 86_400_000;
const UNITS = /** @type {[string, number][]} */ ([["h", 3_600_000], ["m", 60_000], ["s", 1_000]]);

/** 30000 as `30s`; what is no whole number of seconds stays milliseconds. @param {number} ms */
export function spokenMs(ms) {
  const [unit, size] = UNITS.find((one) => ms && ms % one[1] === 0) ?? ["", 1];
  return `${ms / size}${unit}`;
}

/** @param {string} text */
const lines = (text) => String(text ?? "").split("\n").map((one) => one.trim()).filter(Boolean);
/** @param {string} text @param {string} separator */
function pairs(text, separator) {
  return Object.fromEntries(lines(text).map((line) => {
    const at = line.indexOf(separator);
    return at < 0 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + separator.length).trim()];
  }));
}
/** @param {Record<string, string>} object @param {string} separator */
const written = (object, separator) => Object.entries(object ?? {}).map(([name, value]) => `${name}${separator}${value}`).join("\n");

/** `$.status = "ok"`, or a path alone. @param {{path: string, equals?: unknown}} one */
const condition = (one) => (one.equals === undefined || one.equals === null ? one.path : `${one.path} = ${JSON.stringify(one.equals)}`);

/** @param {string} line */
function conditionOf(line) {
  const at = line.lastIndexOf(" = ");
  if (at < 0) return { path: line };
  const text = line.slice(at + 3).trim();
  try {
    return { path: line.slice(0, at).trim(), equals: JSON.parse(text) };
  } catch {
    return { path: line.slice(0, at).trim(), equals: text };
  }
}

/** What a form shows of a target; of none: a new one. @param {Record<string, any> | null} target @param {string} zone @returns {Values} */
export function valuesOf(target, zone) {
  const one = target ?? { kind: "http", interval: 30_000, timeout: 5_000, retries: 0, failureThreshold: 1, successThreshold: 1, method: "GET", maxRedirects: 5, verify: true, enabled: true };
  const expect = one.expect ?? {};
  return {
    name: "", url: "", group: "", description: "", username: "", password: "", body: "", public: false, ...one,
    quorum: String(one.quorum || ""), interval: spokenMs(one.interval), timeout: spokenMs(one.timeout), options: { ...one.options },
    headers: written(one.headers, ": "), labels: written(one.labels, "="), dependsOn: (one.dependsOn ?? []).join("\n"), regions: (one.regions ?? []).join("\n"),
    statuses: (expect.statuses ?? []).join(", "), bodyMatches: (expect.bodyMatches ?? []).join("\n"), bodyNotMatches: (expect.bodyNotMatches ?? []).join("\n"),
    json: (expect.json ?? []).map(condition).join("\n"), maxBytes: expect.maxBytes || "", slowMs: expect.slowMs || "", expiresDays: expect.expiresWithinMs ? expect.expiresWithinMs / DAY_MS : "",
    maintenance: (one.maintenance ?? []).map((/** @type {any} */ part) => ({
      starts: wall(part.startsAt, part.timeZone ?? "UTC"), ends: wall(part.endsAt, part.timeZone ?? "UTC"), zone: part.timeZone ?? "UTC",
      repeat: part.weekly ? "weekly" : part.daily ? "daily" : "once", reason: part.reason ?? "",
    })),
    zone,
  };
}

/** What the API is sent: fields that the kind does not know are left out. @param {Values} values */
export function bodyOf(values) {
  const { kind } = values;
  const shared = {
    name: values.name, kind, group: values.group, description: values.description, enabled: values.enabled, public: values.public,
    interval: values.interval.trim(), timeout: values.timeout.trim(), labels: pairs(values.labels, "="), dependsOn: lines(values.dependsOn),
    maintenance: values.maintenance.map(timeOf), ...(values.version ? { version: values.version } : {}),
  };
  if (kind === "heartbeat") return shared;
  const knows = has(kind);
  return {
    ...shared, url: values.url.trim(), retries: whole(values.retries), failureThreshold: whole(values.failureThreshold), successThreshold: whole(values.successThreshold),
    regions: lines(values.regions), quorum: whole(values.quorum || 0), expect: expectOf(values), verify: values.verify,
    options: Object.fromEntries((OPTIONS[kind] ?? []).map((name) => [name, values.options[name] ?? ""]).filter((one) => one[1])),
    ...(knows.headers ? { headers: pairs(values.headers, ":") } : {}),
    ...(knows.login ? { username: values.username, password: values.password } : {}),
    ...(knows.http ? { method: values.method, body: values.body, maxRedirects: whole(values.maxRedirects) } : {}),
  };
}

/** @param {Values} values */
function expectOf(values) {
  const knows = has(values.kind);
  return {
    ...(knows.http ? { statuses: String(values.statuses).split(/[\s,]+/).filter(Boolean) } : {}),
    ...(knows.text ? { bodyMatches: lines(values.bodyMatches), bodyNotMatches: lines(values.bodyNotMatches) } : {}),
    ...(knows.json ? { json: lines(values.json).map(conditionOf) } : {}),
    ...(knows.http && values.maxBytes ? { maxBytes: whole(values.maxBytes) } : {}),
    ...(values.slowMs ? { slowMs: whole(values.slowMs) } : {}),
    ...(knows.tls && values.expiresDays ? { expiresWithinMs: Math.round(whole(values.expiresDays) * DAY_MS) } : {}),
  };
}

/** A number where it is one; else as it was typed, which the API refuses with its words. @param {any} typed */
function whole(typed) {
  const value = Number(typed);
  return String(typed).trim() === "" || Number.isNaN(value) ? typed : value;
}

/** @param {any} part */
function timeOf(part) {
  return {
    startsAt: instant(part.starts, part.zone) ?? part.starts, endsAt: instant(part.ends, part.zone) ?? part.ends, timeZone: part.zone,
    ...(part.repeat === "weekly" ? { weekly: true } : part.repeat === "daily" ? { daily: true } : {}), ...(part.reason ? { reason: part.reason } : {}),
  };
}

/** What the clock of a zone shows, as a field for times has it: `2026-01-31T22:00`. @param {number} ms @param {string} zone */
export function wall(ms, zone) {
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
  }).formatToParts(ms).map((one) => [one.type, one.value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}

/** When the clock of a zone shows it, Unix milliseconds; null for no time or no zone. @param {string} text @param {string} zone */
export function instant(text, zone) {
  const there = Date.parse(`${text}Z`);
  if (Number.isNaN(there)) return null;
  try {
    let at = there;
    for (let n = 0; n < 2; n++) at += there - Date.parse(`${wall(at, zone)}Z`); // a second time for changes of the clock
    return at;
  } catch {
    return null;
  }
}
