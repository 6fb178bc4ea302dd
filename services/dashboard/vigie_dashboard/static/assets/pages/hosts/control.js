// Starting and stopping a service: asked once more, then followed until it is known what became of it.
import { html, useEffect, useRef, useState } from "../../core/ui.js";
import { get, post, Problem } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { Badge } from "../../components/badge.js";
import { Dialog } from "../../components/dialog.js";
import { sentence } from "../../components/states.js";
import { toast } from "../../components/toasts.js";

const EVERY_MS = 1_000;
/** A command is begun within two minutes, and done or given up ninety seconds later. */
const LONGEST_MS = 240_000;
const TONES = /** @type {Record<string, "ok" | "warn" | "bad" | "none">} */ ({ pending: "none", done: "ok", failed: "bad", refused: "bad", expired: "bad", unknown: "warn" });

/** Ask until it has ended. What cannot be asked now is asked again. @param {any} command @param {() => Promise<void>} wait @param {() => number} clock
 * @param {(id: string) => Promise<any>} ask @returns {Promise<any>} */
export async function followed(command, wait, clock, ask) {
  const until = clock() + LONGEST_MS;
  let known = command;
  while (known.state === "pending" && clock() < until) {
    await wait();
    try {
      known = await ask(known.id);
    } catch (e) {
      if (!(e instanceof Problem) || (e.status !== 0 && e.status !== 429 && e.status < 500)) throw e;
    }
  }
  return known;
}

/** Nobody asks while nobody looks. */
const pause = () => new Promise((/** @type {(value: void) => void} */ done) => {
  const over = () => {
    if (document.hidden) return document.addEventListener("visibilitychange", over, { once: true });
    return done();
  };
  setTimeout(over, EVERY_MS);
});

/** @param {any} command */
const said = (command) => t(`command.${command.state}`, { action: t(`service.${command.action}`), service: command.service });

/** @param {{site: string, host: string, service: any, action: string, onClose: () => void}} props */
export function Control({ site, host, service, action, onClose }) {
  const [command, setCommand] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const shown = useRef(true);
  useEffect(() => () => { shown.current = false; }, []);
  const go = async () => {
    setBusy(true);
    setProblem("");
    try {
      const given = await post(`api/sites/${encodeURIComponent(site)}/services/${encodeURIComponent(service.name)}/${action}`);
      if (shown.current) setCommand(given);
      const ended = await followed(given, pause, Date.now, (id) => get(`api/commands/${id}`));
      if (shown.current) setCommand(ended);
      else toast([said(ended), ended.message].filter(Boolean).join(" "), ended.state === "done" ? "ok" : "bad");
    } catch (e) {
      if (shown.current) setProblem(sentence(e));
      else toast(sentence(e), "bad");
    } finally {
      if (shown.current) setBusy(false);
    }
  };
  return html`
    <${Dialog} title=${t("service.ask", { action: t(`service.${action}`), service: service.name })} onClose=${onClose}>
      ${!command && html`<p>${t(`service.${action}.text`, { host })}</p>`}
      <div role="status" class="outcome">${command && html`
        <p><${Badge} tone=${TONES[command.state] ?? "none"}>${t(`command.is.${command.state}`)}<//> ${said(command)}</p>
        ${command.message && html`<p>${command.message}</p>`}
        ${command.state === "pending" && html`<p class="hint">${t("command.wait")}</p>`}
        ${command.state === "done" && html`<p class="hint">${t("command.next")}</p>`}`}</div>
      ${problem && html`<p class="wrong" role="alert">${problem}</p>`}
      <div class="buttons">
        <button type="button" onClick=${onClose}>${t(command ? "action.close" : "action.cancel")}</button>
        ${!command && html`<button type="button" class=${action === "start" ? "primary" : "danger"} disabled=${busy} onClick=${go}>${t(`service.${action}`)}</button>`}
      </div>
    <//>`;
}
