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

const { completed, csv, fitting, named, placeAt, promql } = await load("pages/explore/expression.js");
const end = (/** @type {string} */ text) => placeAt(text, text.length);
assert.deepEqual(end("sum(rate(book"), { kind: "name", typed: "book", from: 9, metric: "", label: "" });
assert.deepEqual(end('up{job="a", ser'), { kind: "label", typed: "ser", from: 12, metric: "up", label: "" });
assert.deepEqual(end('up{job=~"ho'), { kind: "value", typed: "ho", from: 9, metric: "up", label: "job" });
assert.equal(end('up{job="}"} + x').kind, "name", "a brace in quotes is none");
assert.equal(end("sum by (ser").kind, "label");
assert.deepEqual(completed('up{job="ho"}', 10, end('up{job="ho'), 'hot"el'), ['up{job="hot\\"el"}', 15]);
assert.deepEqual(fitting(["rate", "irate", "x", "rat"], "rat"), ["rate", "irate"]);
assert.equal(promql({ metric: "m", fn: "p95", by: "service", match: "a=b" }, "histogram"), 'histogram_quantile(0.95, sum by (service, le) (rate(m_bucket{a="b"}[5m])))');
assert.equal(promql({ metric: "m", fn: "rate", by: "", match: 'a!="x"' }, "counter"), 'sum (rate(m{a!="x"}[5m]))');
assert.equal(named({ __name__: "up", job: "a" }), 'up{job="a"}');
assert.equal(named({}), "{}");
const file = csv([{ label: '=cmd|"x"', points: [[0, 1], [1000, null]] }, { label: "b,c", points: [[1000, -2]] }]);
assert.equal(file, 'time,"\'=cmd|""x""","b,c"\r\n1970-01-01T00:00:00.000Z,1,\r\n1970-01-01T00:00:01.000Z,,-2\r\n');

const { filled } = await load("pages/explore/asking.js");
assert.deepEqual(filled([[10, "1"], [30, "NaN"]], 10, 30, 10), [[10_000, 1], [20_000, null], [30_000, null]]);
const { compared, spelled } = await load("pages/alerts/condition.js");
assert.deepEqual(compared("sum(rate(x[5m])) > 0.5"), { expression: "sum(rate(x[5m]))", limits: [0.5] });
assert.deepEqual(compared("a > 1 and b > 2"), { expression: "a > 1 and b > 2", limits: [] });
assert.deepEqual(compared("sum(x > 5)"), { expression: "sum(x > 5)", limits: [] });
assert.deepEqual([0, 300_000, 90_000, 86_400_000, 1_500].map(spelled), ["0s", "5m", "90s", "1d", "1500ms"]);
const health = await load("pages/health/data.js");
const [until, bar] = [1_790_000_000, 1_800];
const was = health.past([[until, "1"], [until - bar, "0.5"], [until - 3 * bar, "0.99"]], until, 4, bar);
assert.deepEqual(was.shares, [0.99, null, 0.5, 1]);
assert.ok(Math.abs(was.uptime - 83) < 1e-9, "what nobody knows is in neither");
assert.deepEqual(was.shares.map(health.colourOf), ["w", "n", "b", ""]);
assert.equal(health.past([], until, 4, bar).uptime, null);
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

const admin = await load("pages/administration/data.js");
const key = { revoked: null, expires: null, replacedBy: null };
assert.deepEqual([key, { ...key, replacedBy: "2" }, { ...key, expires: "2026-01-01T00:00:00.000Z" }, { ...key, revoked: "2026-01-01T00:00:00.000Z" }].map((one) => admin.keyState(one, now)), ["good", "replaced", "expired", "revoked"]);
assert.deepEqual(admin.planOf({ samplesPerS: "", series: "20000", rules: "", targets: "x" }), { samplesPerS: null, requestsPerS: null, series: 20_000, targets: "x", notificationsPerDay: null }, "empty is no limit where there may be none, else unsaid");
const entries = [
  { action: "user.created", actor: { name: "alice", address: "192.0.2.1" }, target: "1", changes: { name: "Bob" } },
  { action: "key.revoked", actor: { name: "bob", address: "192.0.2.2" }, target: "2", changes: {} },
];
assert.deepEqual(admin.matching(entries, { q: "BOB user", kind: "" }), [entries[0]]);
assert.deepEqual(admin.matching(entries, { q: "bob", kind: "key" }), [entries[1]]);
assert.deepEqual(admin.changed({ role: { from: "USER", to: "ADMIN" }, apps: ["a"], note: null }), [["role", "USER → ADMIN"], ["apps", '["a"]'], ["note", "–"]]);
assert.deepEqual([admin.endOfDay("2027-01-31"), admin.endOfDay("")], ["2027-01-31T23:59:59Z", null]);

const nodes = await load("pages/telemetry/data.js");
assert.deepEqual(nodes.shares({ a: 1, b: 3 }), { a: 25, b: 75 });
assert.deepEqual(nodes.shares({ a: 0 }), { a: 0 });
assert.deepEqual(nodes.daily([{ date: "2026-01-02", x: null }, { date: "2026-01-01", x: 2 }], "x"), [[Date.UTC(2026, 0, 1), 2], [Date.UTC(2026, 0, 2), null]], "oldest first");

const apps = await load("pages/apps/data.js");
assert.deepEqual(apps.numbers({ cpu: { usage: 1 }, list: [1], text: "2", queue: { a: { b: 3 } } }), [["cpu.usage", 1], ["queue.a.b", 3]]);
assert.equal(apps.numbers(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`n${n}`, n]))).length, 24, "no more than people read");
assert.deepEqual(apps.numbers(null), []);
const numbersOf = ["memory.used", "cpu.usage", "queue"].map((path) => ({ path, steps: [] }));
assert.deepEqual(apps.grouped(numbersOf).map((one) => [one.id, one.unit]), [["cpu", "percent"], ["memory", "bytes"], ["queue", "number"]]);
assert.deepEqual(["cpu.usage", "cpu.cores", "memory.free", "x"].map(apps.unitOf), ["percent", "number", "bytes", "number"]);

const pipeline = await load("pages/pipeline/data.js");
const look = (/** @type {number} */ at, /** @type {number} */ written) => ({ at, written: { s: written }, lag: { r: written } });
assert.deepEqual(pipeline.rates([look(0, 10), look(5_000, 20), look(10_000, 5), look(60_000, 9)], "s"), [[5_000, 2], [10_000, null], [60_000, null]], "no rate of a log that was made anew, nor over a gap");
assert.deepEqual(pipeline.lags([look(0, 1), look(60_000, 2)], "r"), [[0, 1], [59_999, null], [60_000, 2]]);
assert.equal(pipeline.remembered([look(5, 1)], look(5, 1)).length, 1, "the same answer counts once");
assert.equal(pipeline.remembered(Array.from({ length: pipeline.MOST }, (_, n) => look(n, n)), look(9e9, 1)).length, pipeline.MOST);
assert.deepEqual(["vigie.dead.v1", "other"].map(pipeline.short), ["dead", "other"]);

const routing = await load("pages/alerts/routing.js");
const leaf = (/** @type {string} */ receiver) => ({ ...routing.emptyRoute(), receiver });
const tree = { ...leaf("ops"), routes: [{ ...leaf("a"), routes: [leaf("b"), leaf("c")] }] };
const order = (/** @type {any} */ root) => root.routes[0].routes.map((/** @type {any} */ one) => one.receiver);
assert.deepEqual(order(routing.moved(tree, [0, 1], -1)), ["c", "b"]);
assert.deepEqual(order(routing.moved(tree, [0, 1], 1)), ["b", "c"], "the last stays the last");
assert.deepEqual(order(routing.removed(tree, [0, 0])), ["c"]);
assert.deepEqual(order(routing.added(tree, [0], leaf("d"))), ["b", "c", "d"]);
assert.deepEqual(order(tree), ["b", "c"], "a change makes a new tree");
assert.equal(routing.placeOf([0, 1]), "route.routes[0].routes[1]");
const renamed = routing.withReceiver({ route: tree, receivers: { ops: {}, b: {} }, defaultReceiver: "b" }, "b", "x", { channels: [], escalation: "" });
assert.deepEqual([order(renamed.route), Object.keys(renamed.receivers), renamed.defaultReceiver], [["x", "c"], ["ops", "x"], "x"]);
const problems = [{ field: "route.receiver", reason: "r" }, { field: "route.routes[0].matchers", reason: "m" }, { field: "receivers.a.b.channels[0].type", reason: "t" }];
assert.deepEqual(["route", "route.routes[0]", "receivers.a.b"].map((place) => routing.wrongWith(problems, place)), [["receiver: r"], ["matchers: m"], ["channels[0].type: t"]]);
for (const value of [null, "5m", { critical: "1h", default: "4h" }]) assert.deepEqual(routing.durations(routing.spelledDurations(value)), value);
assert.deepEqual(routing.channelsOf("email a@b.c\n slack #x y \n\nwebhook"), [{ type: "email", destination: "a@b.c" }, { type: "slack", destination: "#x y" }, { type: "webhook", destination: "" }]);
const oncall = await load("pages/alerts/oncall-data.js");
const hours = [{ weekdays: ["monday", "friday"], from: "09:00", to: "17:00" }, { weekdays: [], from: "22:00", to: "06:00" }];
assert.deepEqual(oncall.restrictionsOf(oncall.spelledRestrictions(hours)), hours);
assert.deepEqual(oncall.restrictionsOf("whenever")[0].weekdays, ["whenever"], "the API says what is wrong with it");
const planned = { name: "db", timezone: "Europe/Paris", description: "", layers: [{ name: "w", people: ["ana", "ben"], start: "2026-01-05", handoff: "09:00", rotation: { every: 2, unit: "week" }, timezone: null, restrictions: hours }] };
const { name: _name, ...stored } = planned;
assert.deepEqual(oncall.scheduleBody(oncall.scheduleValues(planned, "UTC", "2026-01-01")), stored, "what is shown and sent back is what it was");
const chain = { description: "", steps: [{ after: "5m", notify: [{ type: "channel", name: "the team" }] }], repeat: 2, repeatAfter: "15m" };
assert.deepEqual(oncall.chainBody(oncall.chainValues({ name: "x", ...chain })), chain);
const iso = (/** @type {number} */ at) => new Date(at).toISOString();
assert.deepEqual(oncall.parts({ shifts: [{ person: "ana", from: iso(0), to: iso(10), by: "w", override: false }], gaps: [{ from: iso(10), to: iso(30) }] }, 5, 20).map((/** @type {any} */ one) => [one.person, one.from, one.to]), [["ana", 5, 10], [null, 10, 20]]);
const hosts = await load("pages/hosts/data.js");
const range = { from: now - hour, to: now, live: true, text: "1h" };
assert.deepEqual(hosts.asked(range, now + 5_000), { hours: 1, points: 200 }, "a live range is as long as it says");
assert.deepEqual(hosts.asked({ ...range, live: false }, now + hour), { hours: 2, points: 200 }, "one that is over is reached back to");
assert.equal(hosts.asked({ from: 0, to: 1, live: false, text: "" }, now).hours, 9_600);
assert.deepEqual([null, "5", "7", "60", "x"].map(hosts.refreshOf), [30, 5, 30, 60, 30]);
const at = (/** @type {number} */ s, /** @type {any} */ more = {}) => ({ timestamp: new Date(now + s * 1_000).toISOString(), ...more });
const reported = [at(0, { v: 1 }), at(30, { v: 2 }), at(60, { v: null }), at(300, { v: 4 })];
assert.deepEqual(hosts.line(reported, (one) => one.v), [[now, 1], [now + 30_000, 2], [now + 60_000, null], [now + 90_000, null], [now + 300_000, 4]], "a line breaks where nothing was reported");
assert.deepEqual(hosts.line([], (one) => one.v), []);
assert.deepEqual(hosts.perSecond([[0, 100], [1_000, 300], [2_000, 50], [3_000, null], [4_000, 60], [6_000, 80]]).map((one) => one[1]), [null, 200, null, null, null, 10], "a total that began anew is no rate");
assert.equal(hosts.last([[0, 1], [1, null]]), 1);
assert.deepEqual([69.9, 70, 90, null].map((one) => hosts.tone(one, { warning: 70, critical: 90 })), ["", "warn", "bad", ""]);
assert.equal(hosts.tone(99, undefined), "");
assert.deepEqual(hosts.newest(at(0, { a: 1, name: "n", stale: true }), at(30, { a: 2 })), at(30, { a: 2, name: "n", stale: false }), "heard of since: not silent");
assert.equal(hosts.newest(at(0, { stale: true }), at(0, {})).stale, true, "the last report again is no news");
assert.equal(hosts.newest(at(30, { a: 2, stale: false }), at(0, { a: 1 })).a, 2, "nothing older is laid over it");
assert.equal(hosts.newest({ timestamp: null, stale: true }, at(0, { a: 1 })).stale, false);
const host = (/** @type {string} */ name, /** @type {number} */ cpu, stale = false) => ({ host: name, stale, cpu: { percent: cpu }, memory: {}, disk: { percent: 10 } });
assert.deepEqual([host("a", 5), host("b", 90), host("c", 1, true), host("d", 90)].sort(hosts.worstFirst).map((one) => one.host), ["c", "b", "d", "a"]);
const counts = { total: 2, running: 2, stopped: 0, failed: 0 };
const stateOf = (/** @type {any} */ more) => hosts.stateOf({ timestamp: "t", stale: false, services: counts, ...more })[0];
assert.deepEqual([{}, { timestamp: null }, { stale: true }, { services: { ...counts, running: 1, failed: 1 } }, { services: { ...counts, running: 1, stopped: 1 } },
  { services: { ...counts, running: 0, stopped: 2 } }, { services: { ...counts, total: 0, running: 0 } }].map(stateOf), ["running", "unseen", "silent", "failed", "partly", "stopped", "empty"]);
assert.deepEqual(["active", "inactive", "failed"].map(hosts.actionsOn), [["restart", "stop"], ["start"], ["start"]]);
assert.deepEqual(hosts.turned(hosts.opened("a,b,,c"), "b"), ["a", "c"]);
assert.equal(hosts.turned(Array.from({ length: 8 }, (_, n) => `${n}`), "x").length, 8, "no more than are followed live");
const shop = { id: "shop", host: "web-1", name: "Shop", account: "shop", directory: "/srv/shop", ports: [{ from: 3000, to: 3009 }, { from: 80, to: 80 }], domains: ["a.example"], limits: { memoryBytes: 1_073_741_824, diskBytes: null } };
const { id: _id, ...written } = shop;
assert.deepEqual(hosts.siteOf(hosts.typedSite(shop)), written, "a form that was not touched changes nothing");
assert.deepEqual(hosts.siteOf({ ...hosts.typedSite(null), ports: "80-\nweb" }).ports, [{ from: 80, to: "" }, { from: "web", to: "web" }], "the API says what is wrong with it");
const config = { collectionInterval: 30, retentionHours: 24, alertsEnabled: true, siteStatsEnabled: false, alertThresholds: { cpu: { warning: 70, critical: 90.5 }, memory: { warning: 75, critical: 90 }, disk: { warning: 80, critical: 95 } } };
assert.deepEqual(hosts.configOf(hosts.typedConfig(config)), config);

const { followed } = await load("pages/hosts/control.js");
const { Problem } = await load("core/http.js");
const answers = [new Problem(0, "unreachable", ""), { id: "1", state: "pending" }, { id: "1", state: "done" }];
const ask = async () => { const one = answers.shift(); if (one instanceof Error) throw one; return one; };
let time = 0;
const wait = async () => { time += 1_000; };
assert.equal((await followed({ id: "1", state: "pending" }, wait, () => time, ask)).state, "done", "a lost connection is waited for");
assert.equal((await followed({ id: "1", state: "pending" }, wait, () => time, async () => ({ id: "1", state: "pending" }))).state, "pending", "nobody waits for ever");
await assert.rejects(followed({ id: "1", state: "pending" }, wait, () => time, async () => { throw new Problem(404, "not-found", "gone"); }), /gone/);
console.log("done");
