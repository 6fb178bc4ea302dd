// One WebSocket for the whole app. Subscriptions outlive it: each goes on from its cursor on the next one.
import { useEffect, signal } from "./ui.js";
import { credential, onToken, refresh, state as session, tenant } from "./session.js";

/** @typedef {(message: any) => void} Listener */
/** @typedef {{channel: string, params: Record<string, unknown>, listeners: Set<Listener>, cursor: string | null,
 * number: string | null, last: any}} Subscription */

/** `live`, `connecting`, `paused` while nobody looks, `offline`, `refused`. */
export const status = signal("connecting");

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const HIDDEN_MS = 5_000;
const UNAUTHENTICATED = 4401;
const NOT_ALLOWED = 4403;
const STOPPING = 1001;

/** @type {Map<string, Subscription>} */
const wanted = new Map();
/** @type {WebSocket | null} */
let socket = null;
let ready = false;
let failures = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let again;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;
let about = "";

/** Begin, when it is known who looks. */
export function startLive() {
  about = tenant.value;
  let who = session.value;
  connect();
  onToken((token) => ready && send({ type: "auth", token }));
  session.subscribe((now) => {
    if (now === who) return;
    who = now;
    if (now === "ended") stop("refused");
    else restart();
  });
  tenant.subscribe((now) => {
    if (now === about) return;
    about = now;
    for (const one of wanted.values()) one.cursor = null;
    restart();
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => stop("paused"), HIDDEN_MS);
    else if (!socket) connect();
  });
  addEventListener("online", restart); // a socket from before may hang for long
  addEventListener("offline", () => (status.value = "offline"));
}

/** Listen to a channel; what stands comes first. Returns what ends it.
 * @param {string} channel @param {Record<string, unknown>} params @param {Listener} listener */
export function listen(channel, params, listener) {
  const key = channel + JSON.stringify(params);
  let one = wanted.get(key);
  if (!one) {
    wanted.set(key, (one = { channel, params, listeners: new Set(), cursor: null, number: null, last: null }));
    if (ready) subscribe(key, one);
  } else if (one.last) listener(one.last);
  one.listeners.add(listener);
  const subscription = one;
  return () => {
    subscription.listeners.delete(listener);
    if (subscription.listeners.size || wanted.get(key) !== subscription) return;
    wanted.delete(key);
    if (ready && subscription.number) send({ type: "unsubscribe", subscription: subscription.number });
  };
}

/** `listen` while a component is shown. @param {string} channel @param {Record<string, unknown>} params
 * @param {Listener} listener @param {unknown[]} [inputs] */
export function useLive(channel, params, listener, inputs = []) {
  useEffect(() => listen(channel, params, listener), [channel, JSON.stringify(params), ...inputs]);
}

/** @param {unknown} message */
function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** @param {string} key @param {Subscription} one */
function subscribe(key, one) {
  one.number = null; // that of another connection means something else on this one
  const where = session.value === "user" ? { tenant: tenant.value } : {};
  send({ type: "subscribe", id: key, channel: one.channel, ...one.params, ...where, ...(one.cursor ? { after: one.cursor } : {}) });
}

function restart() {
  stop("connecting");
  connect();
}

/** @param {string} why */
function stop(why) {
  clearTimeout(again);
  ready = false;
  const old = socket;
  socket = null;
  if (old?.readyState === WebSocket.CONNECTING) old.onopen = () => old.close(1000); // closed sooner it would be an error
  else old?.close(1000);
  status.value = why;
}

async function connect() {
  clearTimeout(again);
  if (document.hidden || socket || (session.value !== "user" && session.value !== "anonymous")) return;
  status.value = navigator.onLine ? "connecting" : "offline";
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = new WebSocket(url);
  socket = mine;
  mine.onopen = async () => {
    try {
      const token = await credential();
      if (token) mine.send(JSON.stringify({ type: "auth", id: "auth", token }));
    } catch {
      mine.close(1000);
    }
  };
  mine.onmessage = (/** @type {MessageEvent} */ event) => mine === socket && receive(JSON.parse(event.data));
  mine.onclose = (event) => mine === socket && closed(event.code);
}

/** @param {any} message */
function receive(message) {
  if (message.type === "welcome") return welcome(message);
  if (message.type === "subscribed") {
    const one = wanted.get(message.id);
    if (one) one.number = message.subscription;
    else send({ type: "unsubscribe", subscription: message.subscription });
    return undefined;
  }
  if (message.type === "unsubscribed") return undefined;
  if (message.type === "error") return refused(message);
  if (message.type === "dropped" || message.type === "restored") return resubscribe();
  for (const one of wanted.values()) {
    if (!message.subscription || one.number !== message.subscription) continue;
    one.cursor = message.cursor ?? one.cursor;
    if (message.complete !== false && message.type === one.channel) one.last = message;
    for (const listener of one.listeners) listener(message);
  }
  return undefined;
}

/** What was refused for now says so, and is asked for again. @param {any} message */
function refused(message) {
  const one = wanted.get(message.id);
  if (!one || !message.retryAfter) return;
  const mine = socket;
  setTimeout(() => mine === socket && ready && wanted.get(message.id) === one && subscribe(message.id, one), message.retryAfter * 1_000);
}

/** @param {any} message */
function welcome(message) {
  if (session.value === "user" && message.id !== "auth") return; // as nobody, before the token was looked at
  if (ready) return;
  ready = true;
  failures = 0;
  status.value = "live";
  for (const [key, one] of wanted) subscribe(key, one);
}

function resubscribe() {
  for (const [key, one] of wanted) {
    one.cursor = null;
    subscribe(key, one);
  }
}

/** @param {number} code */
async function closed(code) {
  socket = null;
  ready = false;
  if (code === NOT_ALLOWED) {
    status.value = "refused";
    return;
  }
  status.value = "offline";
  failures += 1;
  if (code === UNAUTHENTICATED) {
    if (session.value !== "user") {
      status.value = "refused";
      return;
    }
    await refresh().catch(() => null);
  }
  const longest = code === STOPPING && failures === 1 ? FIRST_WAIT_MS : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
  again = setTimeout(connect, longest * (0.5 + Math.random() / 2));
}
