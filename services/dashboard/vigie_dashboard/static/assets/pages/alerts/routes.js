// The tree that says who is told: as it is, changed, and where an alert would go by it.
import { html, useEffect, useState } from "../../core/ui.js";
import { del, get, post, put } from "../../core/api.js";
import { Problem } from "../../core/http.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { may } from "../../core/session.js";
import { when } from "../../core/time.js";
import { Card } from "../../components/card.js";
import { Confirm } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Empty, Loaded, sentence } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { ReceiverDialog, Receivers, RouteDialog } from "./route-edit.js";
import { added, changed, emptyRoute, moved, placeOf, removed, routeAt, withReceiver, withoutReceiver, wrongWith } from "./routing.js";

const PATH = "api/alerts/routes";
const SETTLED_MS = 500;

/** @typedef {import("./routing.js").Tree} Tree */

export function Routes() {
  const tree = useLoad((stop) => get(PATH, {}, stop), []);
  const [draft, setDraft] = useState(/** @type {Tree | null} */ (null));
  const [warnings, setWarnings] = useState(/** @type {any[]} */ ([]));
  const edit = may("monitoring.configure");
  const begin = () => {
    setWarnings([]);
    setDraft({ route: tree.data.route, receivers: tree.data.receivers, defaultReceiver: tree.data.defaultReceiver });
  };
  const done = (/** @type {any[]} */ found) => {
    setWarnings(found);
    setDraft(null);
    tree.reload();
  };
  const note = tree.data && tree.data.version > 0 && t("rule.version", { version: tree.data.version, by: tree.data.updatedBy, when: when(tree.data.updatedAt) });
  return html`
    <div class="grid">
      <div class="stack">
        ${warnings.length > 0 && html`<div class="notice warn" role="status"><p>${t("routes.warned")}</p><ul class="plain">${warnings.map((one) => html`<li>${one.field}: ${one.reason}</li>`)}</ul></div>`}
        ${draft && tree.data
          ? html`<${Editing} key=${tree.data.version} version=${tree.data.version} draft=${draft} setDraft=${setDraft} onDone=${done} onCancel=${() => setDraft(null)} reload=${() => { setDraft(null); tree.reload(); }} />`
          : html`
            <${Card} title=${t("routes.tree")} note=${note} actions=${edit && tree.data && html`<button type="button" onClick=${begin}>${t("routes.change")}</button>`}>
              <${Loaded} of=${tree} height=${200}>${(/** @type {any} */ data) => (data.version === 0
                ? html`<${Empty} title=${t("routes.none")} />`
                : html`<ul class="tree"><${Branch} route=${data.route} receivers=${data.receivers} /></ul>
                  ${data.defaultReceiver && html`<p class="hint after">${t("routes.default")}: <b>${data.defaultReceiver}</b></p>`}`)}<//>
            <//>`}
      </div>
      <${Where} tree=${draft} />
    </div>`;
}

/** Of a receiver, in a line. @param {any} receiver */
const told = (receiver) => (receiver ? [...receiver.channels.map((/** @type {any} */ one) => `${one.type} ${one.destination}`), ...(receiver.escalation ? [receiver.escalation] : [])].join(", ") : "");
/** @param {any} route */
const named = (route) => (route.matchers.length ? `{${route.matchers.join(", ")}}` : t("routes.all"));

/** @param {{route: any, receivers: any}} props */
function Line({ route, receivers }) {
  return html`<code>${named(route)}</code>
    ${route.receiver && html` → <b>${route.receiver}</b>`} <span class="soft">${told(receivers[route.receiver])}</span>${route.continue && html` <span class="soft">${t("routes.continue")}</span>`}`;
}

/** @param {{route: any, receivers: any}} props */
function Branch({ route, receivers }) {
  return html`
    <li><${Line} route=${route} receivers=${receivers} />
      ${route.routes.length > 0 && html`<ul>${route.routes.map((/** @type {any} */ one, /** @type {number} */ n) => html`<${Branch} key=${n} route=${one} receivers=${receivers} />`)}</ul>`}
    </li>`;
}

/** The tree as it shall be. What is wrong with it is asked after every change, and stands where it is.
 * @param {{version: number, draft: Tree, setDraft: (tree: Tree) => void, onDone: (warnings: any[]) => void, onCancel: () => void, reload: () => void}} props */
function Editing({ version, draft, setDraft, onDone, onCancel, reload }) {
  const [asking, setAsking] = useState(/** @type {any} */ (null));
  const judged = useJudged(draft);
  const match = { headers: { "if-match": `"${version}"` } };
  const saving = useSend(async () => {
    const made = await put(PATH, draft, match);
    toast(t("routes.saved", { version: made.version }));
    onDone(made.warnings);
  });
  const removal = useSend(() => del(PATH, match), () => {
    toast(t("routes.removed"));
    onDone([]);
  });
  const errors = saving.error instanceof Problem && saving.error.status !== 409 ? saving.error.errors : judged;
  const close = () => setAsking(null);
  const root = (/** @type {any} */ route) => setDraft({ ...draft, route });
  const act = {
    change: (/** @type {number[]} */ path) => setAsking({ what: "route", path, route: routeAt(draft.route, path), root: !path.length, done: (/** @type {any} */ one) => root(changed(draft.route, path, () => one)) }),
    add: (/** @type {number[]} */ path) => setAsking({ what: "route", path, route: emptyRoute(), root: false, done: (/** @type {any} */ one) => root(added(draft.route, path, one)) }),
    move: (/** @type {number[]} */ path, /** @type {1 | -1} */ by) => root(moved(draft.route, path, by)),
    remove: (/** @type {number[]} */ path) => root(removed(draft.route, path)),
  };
  const names = Object.keys(draft.receivers);
  return html`
    <${Card} title=${t("routes.draft")} note=${t("routes.draft.note", { version })}>
      <ul class="tree edit"><${EditBranch} route=${draft.route} path=${[]} last=${true} receivers=${draft.receivers} errors=${errors} act=${act} /></ul>
    <//>
    <${Receivers} tree=${draft} errors=${errors} onAdd=${() => setAsking({ what: "receiver", name: null })} onChange=${(/** @type {string} */ name) => setAsking({ what: "receiver", name })}
      onRemove=${(/** @type {string} */ name) => setDraft(withoutReceiver(draft, name))} />
    <${Card} title=${t("routes.finish")}>
      <${Form} onSubmit=${saving.submit} busy=${saving.busy} problem=${saving.problem} action=${t("action.save")} onCancel=${onCancel}>
        <${Field} label=${t("routes.default")} hint=${t("routes.default.hint")} value=${draft.defaultReceiver} onInput=${(/** @type {string} */ defaultReceiver) => setDraft({ ...draft, defaultReceiver })}
          options=${[{ value: "", label: t("routes.default.none") }, ...names.map((value) => ({ value, label: value }))]} error=${wrongWith(errors, "defaultReceiver").join("; ")} />
      <//>
      ${[saving, removal].some((one) => one.error?.status === 409) && html`<button type="button" onClick=${reload}>${t("conflict.reload")}</button>`}
      ${version > 0 && html`<button type="button" class="danger" onClick=${() => setAsking({ what: "remove" })}>${t("routes.remove")}</button>`}
    <//>
    ${asking?.what === "route" && html`<${RouteDialog} route=${asking.route} root=${asking.root} receivers=${names} onDone=${(/** @type {any} */ one) => { asking.done(one); close(); }} onClose=${close} />`}
    ${asking?.what === "receiver" && html`<${ReceiverDialog} name=${asking.name} receiver=${asking.name === null ? null : draft.receivers[asking.name]} taken=${names}
      onDone=${(/** @type {string} */ name, /** @type {any} */ one) => { setDraft(withReceiver(draft, asking.name, name, one)); close(); }} onClose=${close} />`}
    ${asking?.what === "remove" && html`<${Confirm} title=${t("routes.remove")} text=${t("routes.remove.text")} action=${t("routes.remove")} danger busy=${removal.busy} error=${removal.problem} onYes=${() => removal.submit()} onClose=${close} />`}`;
}

/** What the API would refuse of it, when the typing has settled. @param {Tree} draft */
function useJudged(draft) {
  const [errors, setErrors] = useState(/** @type {{field?: string, reason?: string}[]} */ ([]));
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => post(`${PATH}/test`, { labels: { alertname: "any" }, tree: draft }, { signal: stop.signal }).then(
      () => setErrors([]),
      (error) => stop.signal.aborted || setErrors(error instanceof Problem ? error.errors : []),
    ), SETTLED_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [draft]);
  return errors;
}

/** @param {{route: any, path: number[], last: boolean, receivers: any, errors: any[], act: any}} props */
function EditBranch({ route, path, last, receivers, errors, act }) {
  const name = named(route);
  const wrong = wrongWith(errors, placeOf(path));
  const button = (/** @type {string} */ action, /** @type {() => void} */ work, /** @type {string} */ text = t(action), off = false) => html`
    <button type="button" class="quiet" disabled=${off} aria-label=${t("admin.named", { action: t(action), name })} onClick=${work}>${text}</button>`;
  return html`
    <li>
      <div class="line"><span><${Line} route=${route} receivers=${receivers} /></span>
        <span class="acts">
          ${button("action.change", () => act.change(path))}${button("routes.add", () => act.add(path))}
          ${path.length > 0 && html`${button("routes.up", () => act.move(path, -1), "↑", path[path.length - 1] === 0)}${button("routes.down", () => act.move(path, 1), "↓", last)}${button("action.remove", () => act.remove(path))}`}
        </span></div>
      ${wrong.map((text) => html`<p class="wrong" role="status">${text}</p>`)}
      ${route.routes.length > 0 && html`<ul>${route.routes.map((/** @type {any} */ one, /** @type {number} */ n) => html`
        <${EditBranch} key=${n} route=${one} path=${[...path, n]} last=${n === route.routes.length - 1} receivers=${receivers} errors=${errors} act=${act} />`)}</ul>`}
    </li>`;
}

const AT = ["now", "now+8h", "now+24h", "now+72h"];

/** Where an alert with these labels would go, by what is stored or by what is being changed. @param {{tree: Tree | null}} props */
function Where({ tree }) {
  const [text, setText] = useState("alertname=DiskFull\nseverity=critical");
  const [at, setAt] = useState("now");
  const [answer, setAnswer] = useState(/** @type {any} */ (null));
  useEffect(() => setAnswer(null), [tree]);
  const labels = () => Object.fromEntries(text.split("\n").map((one) => one.trim()).filter(Boolean).map((one) => {
    const place = one.indexOf("=");
    return place < 0 ? [one, ""] : [one.slice(0, place).trim(), one.slice(place + 1).trim().replace(/^"(.*)"$/, "$1")];
  }));
  const { busy, error, submit } = useSend(async () => setAnswer(await post(`${PATH}/test`, { labels: labels(), at, ...(tree ? { tree } : {}) })));
  return html`
    <${Card} title=${t("routes.where")} note=${tree && t("routes.where.draft")}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${error ? sentence(error) : ""} action=${t("routes.test")}>
        <${Field} label=${t("alert.labels")} type="textarea" rows=${4} value=${text} onInput=${setText} hint=${t("routes.labels.hint")} mono />
        <${Field} label=${t("routes.at")} value=${at} onInput=${setAt} options=${AT.map((value) => ({ value, label: later(value) }))} />
      <//>
      ${answer && html`<div role="status"><p>${answer.sentence}</p>
        ${answer.ways.filter((/** @type {any} */ one) => one.inactive).map((/** @type {any} */ one) => html`<p class="notice warn">${one.receiver}: ${one.inactive}</p>`)}
        <ol class="plain">${answer.steps.map((/** @type {any} */ one, /** @type {number} */ n) => html`<li key=${n}><code>${one.route}</code> ${one.because}</li>`)}</ol></div>`}
    <//>`;
}

/** `now+8h` in words. @param {string} at */
export const later = (at) => (at === "now" ? t("time.now") : t("time.in", { hours: Number(at.slice(4, -1)) }));
