// The tree of routes while it is changed: every change makes a new tree. A path is the numbers from the root: [] is the root.

/** @typedef {{matchers: string[], receiver: string, continue: boolean, groupBy: string[] | null, groupWait: any, groupInterval: any,
 * repeatInterval: any, muteTimes: string[], activeTimes: string[], routes: Route[]}} Route */
/** @typedef {{channels: {type: string, destination: string}[], escalation: string}} Receiver */
/** @typedef {{route: Route, receivers: Record<string, Receiver>, defaultReceiver: string}} Tree */

/** @returns {Route} */
export const emptyRoute = () => ({ matchers: [], receiver: "", continue: false, groupBy: null, groupWait: null, groupInterval: null, repeatInterval: null, muteTimes: [], activeTimes: [], routes: [] });

/** What the API says it by in its problems. @param {number[]} path */
export const placeOf = (path) => `route${path.map((n) => `.routes[${n}]`).join("")}`;

/** @param {Route} route @param {number[]} path @returns {Route} */
export const routeAt = (route, path) => path.reduce((one, n) => one.routes[n], route);

/** @param {Route} root @param {number[]} path @param {(route: Route) => Route} change @returns {Route} */
export function changed(root, path, change) {
  const [first, ...rest] = path;
  if (first === undefined) return change(root);
  return { ...root, routes: root.routes.map((one, n) => (n === first ? changed(one, rest, change) : one)) };
}

/** @param {Route} root @param {number[]} path of the route above @param {Route} route */
export const added = (root, path, route) => changed(root, path, (one) => ({ ...one, routes: [...one.routes, route] }));

/** Without that route and those below it. @param {Route} root @param {number[]} path */
export const removed = (root, path) => changed(root, path.slice(0, -1), (one) => ({ ...one, routes: one.routes.filter((_, n) => n !== path[path.length - 1]) }));

/** Among its neighbours: the first that takes an alert has it. @param {Route} root @param {number[]} path @param {1 | -1} by */
export function moved(root, path, by) {
  const at = path[path.length - 1];
  return changed(root, path.slice(0, -1), (one) => {
    const to = at + by;
    if (to < 0 || to >= one.routes.length) return one;
    const routes = [...one.routes];
    [routes[at], routes[to]] = [routes[to], routes[at]];
    return { ...one, routes };
  });
}

/** A receiver of another name, or with other content; everything that named it names it still.
 * @param {Tree} tree @param {string | null} before null: a new one @param {string} name @param {Receiver} receiver @returns {Tree} */
export function withReceiver(tree, before, name, receiver) {
  const receivers = before === null ? { ...tree.receivers, [name]: receiver }
    : Object.fromEntries(Object.entries(tree.receivers).map(([one, value]) => (one === before ? [name, receiver] : [one, value])));
  if (before === null || before === name) return { ...tree, receivers };
  /** @param {Route} one @returns {Route} */
  const renamed = (one) => ({ ...one, receiver: one.receiver === before ? name : one.receiver, routes: one.routes.map(renamed) });
  return { route: renamed(tree.route), receivers, defaultReceiver: tree.defaultReceiver === before ? name : tree.defaultReceiver };
}

/** @param {Tree} tree @param {string} name @returns {Tree} */
export const withoutReceiver = (tree, name) => ({ ...tree, receivers: Object.fromEntries(Object.entries(tree.receivers).filter(([one]) => one !== name)) });

/** What is wrong with one route, and not with those below it. @param {{field?: string, reason?: string}[]} errors @param {string} place */
export const wrongWith = (errors, place) => errors
  .filter(({ field = "" }) => field === place || (field.startsWith(`${place}.`) && !field.startsWith(`${place}.routes[`)))
  .map(({ field = "", reason }) => [field.slice(place.length + 1), reason].filter(Boolean).join(": "));

/** Durations as they are typed: `5m`, or `critical: 1h, default: 4h`; empty: as the route above has it. @param {string} text */
export function durations(text) {
  const parts = text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean);
  if (!parts.length) return null;
  if (parts.length === 1 && !parts[0].includes(":")) return parts[0];
  return Object.fromEntries(parts.map((one) => {
    const at = one.indexOf(":");
    return at < 0 ? ["default", one] : [one.slice(0, at).trim(), one.slice(at + 1).trim()];
  }));
}

/** @param {any} value */
export const spelledDurations = (value) => (value === null || value === undefined ? "" : typeof value === "string" ? value : Object.entries(value).map(([name, one]) => `${name}: ${one}`).join(", "));

/** Words between commas or on lines. @param {string} text */
export const words = (text) => text.split(/[,\n]/).map((one) => one.trim()).filter(Boolean);
/** @param {string} text */
export const lines = (text) => text.split("\n").map((one) => one.trim()).filter(Boolean);

/** `email ops@example.com` a line. @param {string} text */
export const channelsOf = (text) => lines(text).map((one) => {
  const at = one.indexOf(" ");
  return at < 0 ? { type: one, destination: "" } : { type: one.slice(0, at), destination: one.slice(at + 1).trim() };
});
/** @param {{type: string, destination: string}[]} channels */
export const spelledChannels = (channels) => channels.map((one) => `${one.type} ${one.destination}`.trim()).join("\n");
