// What the pipeline did while somebody looked: totals become rates, and a short memory becomes charts.

/** @typedef {{at: number, written: Record<string, number>, lag: Record<string, number>}} Look */
/** @typedef {[number, number | null]} Point */

/** Looks that are remembered: an hour of one every five seconds. */
export const MOST = 720;
/** Without a look for so long the line has a gap: the tab was hidden. */
const GAP_MS = 20_000;

/** What charts need of an answer. @param {any} answer @returns {Look} */
export const looked = (answer) => ({
  at: Date.parse(answer.timestamp),
  written: Object.fromEntries(answer.topics.map((/** @type {any} */ one) => [one.topic, one.written])),
  lag: Object.fromEntries(answer.readers.map((/** @type {any} */ one) => [reader(one), one.lag])),
});

/** @param {{group: string, topic: string}} one */
export const reader = (one) => `${one.group} ${short(one.topic)}`;

/** `samples` of `vigie.samples.v1`. @param {string} topic */
export const short = (topic) => /^vigie\.([^.]+)\.v\d+$/.exec(topic)?.[1] ?? topic;

/** One more; what is there already is not there twice. @param {Look[]} looks @param {Look} next @returns {Look[]} */
export function remembered(looks, next) {
  const last = looks[looks.length - 1];
  if (last && next.at <= last.at) return looks;
  return [...looks, next].slice(-MOST);
}

/** Records per second between one look and the next; none where a log was made anew. @param {Look[]} looks @param {string} topic @returns {Point[]} */
export function rates(looks, topic) {
  /** @type {Point[]} */
  const points = [];
  for (let n = 1; n < looks.length; n += 1) {
    const [before, now] = [looks[n - 1], looks[n]];
    const [from, to] = [before.written[topic], now.written[topic]];
    const known = from !== undefined && to !== undefined && to >= from && now.at - before.at <= GAP_MS;
    points.push([now.at, known ? ((to - from) / (now.at - before.at)) * 1000 : null]);
  }
  return points;
}

/** @param {Look[]} looks @param {string} name @returns {Point[]} */
export function lags(looks, name) {
  /** @type {Point[]} */
  const points = [];
  looks.forEach((one, n) => {
    if (n && one.at - looks[n - 1].at > GAP_MS) points.push([one.at - 1, null]);
    points.push([one.at, one.lag[name] ?? null]);
  });
  return points;
}
