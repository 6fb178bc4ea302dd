// Runs in Node: what needs no browser. The globals are what the modules look at when they are loaded.
import assert from "node:assert/strict";

const store = new Map();
Object.assign(globalThis, {
  location: { hash: "#/explore/a%2Fb?range=6h&tenant=acme&tz=UTC&own=1" },
  history: { replaceState: () => undefined },
  document: { hidden: false, addEventListener: () => undefined, documentElement: { dataset: {} }, baseURI: "http://vigie.test/prefix/" },
  addEventListener: () => undefined,
  localStorage: { getItem: (/** @type {string} */ key) => store.get(key) ?? null, setItem: (k, v) => store.set(k, v), removeItem: (k) => store.delete(k) },
  setInterval: () => 0,
});
const assets = new URL("../vigie_dashboard/static/assets/", import.meta.url);
const load = (/** @type {string} */ path) => import(new URL(path, assets).href);

const { parse, href, route } = await load("core/router.js");
assert.deepEqual(route.value.segments, ["explore", "a/b"]);
assert.equal(href("alerts", { id: "x y", range: null }), "#/alerts?tz=UTC&tenant=acme&id=x+y");
assert.equal(href(["health", "a/b"]), "#/health/a%2Fb?range=6h&tz=UTC&tenant=acme");
assert.equal(parse("").path, "overview");
assert.equal(parse("#/%E0%A4%A").path, "%E0%A4%A");

const { parseRange, stepFor, duration } = await load("core/time.js");
const now = 1_790_000_000_000;
assert.deepEqual(parseRange("6h", now), { from: now - 21_600_000, to: now, live: true, text: "6h" });
assert.deepEqual(parseRange(`${now - 5}..${now}`, 0), { from: now - 5, to: now, live: false, text: `${now - 5}..${now}` });
for (const wrong of [null, "", "x", "99999h", `${now}..${now}`, "-1h", "1h<script>"]) assert.equal(parseRange(wrong, now).text, "1h");
for (const length of [900_000, 3_600_000, 86_400_000, 30 * 86_400_000]) assert.ok(length / 1000 / stepFor(length, 90) <= 90);
assert.deepEqual(["10s", "1h", "1.5m", "2w", "x", ""].map(duration), [10_000, 3_600_000, 90_000, 1_209_600_000, null, null]);

const { number, seconds, lasting, bytes, compact } = await load("core/i18n.js");
assert.deepEqual([null, NaN, 0, 12_904, 1.842, 30.14, 0.0012].map((one) => number(one)), ["–", "–", "0", "12,904", "1.84", "30.1", "0.0012"]);
assert.deepEqual([null, 0, 0.0004, 0.0042, 0.413, 1.24, 12.3].map(seconds), ["–", "0 s", "400 µs", "4.2 ms", "413 ms", "1.24 s", "12.3 s"]);
assert.deepEqual([5_000, 125_000, 3_700_000, -1].map(lasting), ["5 s", "2 min", "1 h 1 min", "0 s"]);
assert.deepEqual([0, 999, 12_345, null].map(bytes), ["0 B", "999 B", "12.3 kB", "–"]);
assert.equal(compact(12_904), "12.9K");

const { added, change, feed, percent, rate } = await load("pages/overview/data.js");
const step = 60;
const data = { step, series: [
  { name: "a", labels: {}, points: [[0, 60], [60_000, null], [120_000, 30]] },
  { name: "b", labels: {}, points: [[0, 1], [60_000, 2], [120_000, 3]] },
] };
assert.deepEqual(rate(data, "a", 60, 180_000), [[0, 60], [60_000, null], [120_000, 30]]);
assert.deepEqual(rate(data, "a", 3600, 179_999), [[0, 3600], [60_000, null]], "a step that is not over is left out");
assert.deepEqual(rate(data, "none", 60, 180_000), []);
assert.deepEqual(added(data, 180_000), [[0, 61], [60_000, 2], [120_000, 33]]);
assert.deepEqual(percent([[0, 1]], [[0, 4], [60_000, 0], [120_000, 5]]), [[0, 25], [60_000, null], [120_000, 0]]);
const [day, hour] = [86_400_000, 3_600_000];
const recent = [[now - hour, 10], [now - 60_000, 20]];
assert.deepEqual(change(recent, [[now - day - 60_000, 40]], now), { now: 20, then: 40, since: "yesterday" });
assert.deepEqual(change(recent, [], now), { now: 20, then: 10, since: "hour" });
assert.equal(change([], recent, now), null);
const alert = { id: "1", type: "High", message: "m", createdAt: "2026-01-01T00:00:00Z", acknowledgedAt: null, acknowledgedBy: null, resolvedAt: "2026-01-01T00:05:00Z" };
const incident = { service: "shop", started: "2026-01-01T00:03:00Z", ended: null, reason: "refused" };
const events = feed([alert], [incident], Date.parse("2026-01-01T00:01:00Z"));
assert.deepEqual(events.map((one) => [one.kind, one.name]), [["resolved", "High"], ["down", "shop"]], "newest first, nothing older");

const { compare } = await load("components/table.js");
assert.deepEqual([3, null, 1, NaN, 2].sort(compare), [1, 2, 3, null, NaN]);
assert.deepEqual(["b10", "b9", undefined, "a"].sort(compare), ["a", "b9", "b10", undefined]);

const health = await load("pages/health/data.js");
const [end, bar] = [1_790_000_000, 1_800];
const was = health.past([[end, "1"], [end - bar, "0.5"], [end - 3 * bar, "0.99"]], end, 4, bar);
assert.deepEqual(was.shares, [0.99, null, 0.5, 1]);
assert.ok(Math.abs(was.uptime - 83) < 1e-9, "what nobody knows is in neither");
assert.deepEqual(was.shares.map(health.colourOf), ["w", "n", "b", ""]);
assert.equal(health.past([], end, 4, bar).uptime, null);
assert.deepEqual([99.99999, 100, 29.994, null].map((one) => health.floored(one)), [99.99, 100, 29.99, null], "100 means always");
const old = { name: "shop", state: "up", lastCheck: "2026-01-01T00:00:10.000Z", reason: "", enabled: true, muted: "" };
assert.equal(health.current(old, { state: "down", lastCheck: "2026-01-01T00:00:09.000Z" }).state, "up", "older news change nothing");
assert.equal(health.current(old, { state: "down", lastCheck: "2026-01-01T00:00:11.000Z" }).state, "down");
assert.equal(health.current({ ...old, enabled: false }, { state: "down", lastCheck: "2027-01-01T00:00:00.000Z" }).state, "up", "switched off it has no news");
const told = health.taken(health.taken(null, { complete: true, data: [{ id: "1", name: "a" }, { id: "2", name: "b" }] }), { data: [{ id: "3", name: "c" }], removed: ["1"] });
assert.deepEqual([...told.keys()], ["b", "c"]);

const fields = await load("pages/health/fields.js");
assert.deepEqual([30_000, 3_600_000, 90_000, 1_500, 0].map(fields.spokenMs), ["30s", "1h", "90s", "1500", "0"]);
for (const [at, where] of [[Date.UTC(2026, 6, 1, 20), "Europe/Paris"], [Date.UTC(2026, 0, 31, 3, 30), "Asia/Kolkata"], [Date.UTC(2026, 9, 25, 3), "Europe/Paris"], [Date.UTC(2026, 2, 29, 1), "Europe/Paris"]]) {
  assert.equal(fields.instant(fields.wall(at, where), where), at, where);
}
assert.equal(fields.instant("nothing", "UTC"), null);
assert.equal(fields.instant("2026-01-31T22:00", "No/Where"), null);
const definition = {
  name: "shop", kind: "http", url: "https://shop.test/", enabled: true, public: true, interval: 30_000, timeout: 5_000, retries: 1, failureThreshold: 2, successThreshold: 1, method: "POST",
  headers: { Authorization: "***" }, username: "", password: "***", body: "***", options: { serverName: "other.test" }, expect: { statuses: ["2xx"], json: [{ path: "$.a = b", equals: "x" }, { path: "$.c" }], slowMs: 800, expiresWithinMs: 1_209_600_000 },
  maxRedirects: 5, verify: true, regions: ["us"], quorum: 2, labels: { site: "a=b" }, group: "web", description: "d", dependsOn: ["db, main"], version: 3,
  maintenance: [{ startsAt: Date.UTC(2026, 0, 31, 22), endsAt: Date.UTC(2026, 0, 31, 23), weekly: true, timeZone: "Europe/Paris", reason: "release" }],
};
const sent = fields.bodyOf(fields.valuesOf(definition, "UTC"));
assert.deepEqual(sent, { ...definition, expect: { ...definition.expect, bodyMatches: [], bodyNotMatches: [] }, interval: "30s", timeout: "5s" }, "what is shown and sent back is what it was");
const beat = fields.bodyOf({ ...fields.valuesOf(null, "UTC"), kind: "heartbeat", name: "backup", url: "https://left.over/" });
assert.ok(!("url" in beat) && !("expect" in beat), "a heartbeat is not asked");
assert.equal(fields.bodyOf({ ...fields.valuesOf(null, "UTC"), retries: "many" }).retries, "many", "the API says what is wrong with it");
console.log("done");
