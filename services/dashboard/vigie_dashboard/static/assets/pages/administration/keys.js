// API keys: made and rotated with a secret that is shown once, and revoked.
import { html, useState } from "../../core/ui.js";
import { del, post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { usePaged } from "../../core/paged.js";
import { may } from "../../core/session.js";
import { exactly, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Secret } from "../../components/secret.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { toast } from "../../components/toasts.js";
import { below, endOfDay, keyState, page } from "./data.js";

const SCOPES = ["write", "read", "configure", "agent"];
const TONES = /** @type {Record<string, any>} */ ({ good: "ok", replaced: "warn", expired: "none", revoked: "none" });
const HOURS = [0, 1, 24, 168];

export function Keys() {
  const keys = usePaged((cursor, stop) => page(below(["keys"]), "keys", cursor, stop), []);
  const [asking, setAsking] = useState(/** @type {{what: string, key?: any} | null} */ (null));
  const [made, setMade] = useState(/** @type {any} */ (null));
  const manage = may("keys.manage");
  const close = () => setAsking(null);
  const shown = (/** @type {any} */ answer) => {
    close();
    keys.reload();
    setMade(answer);
  };
  const time = (/** @type {string} */ name, /** @type {string} */ none) => (/** @type {any} */ one) => (one[name] ? html`<span title=${exactly(one[name])}>${when(one[name])}</span>` : none);
  const now = Date.now();
  const columns = [
    { key: "name", title: t("key.name"), wide: true, render: (/** @type {any} */ one) => html`${one.name}<br /><code>${one.prefix}</code>` },
    { key: "state", title: t("key.state"), sort: (/** @type {any} */ one) => keyState(one, now), render: (/** @type {any} */ one) => html`<${Badge} tone=${TONES[keyState(one, now)]}>${t(`key.is.${keyState(one, now)}`)}<//>` },
    { key: "scopes", title: t("key.scopes"), render: (/** @type {any} */ one) => html`${one.scopes.map((/** @type {string} */ scope) => t(`scope.${scope}`)).join(", ")}${one.host && html`<br /><small>${one.host}</small>`}` },
    { key: "created", title: t("admin.created"), render: time("created", "–") },
    { key: "expires", title: t("key.expires"), render: time("expires", t("key.never")) },
    { key: "lastUsed", title: t("key.used"), render: time("lastUsed", t("key.unused")) },
    ...(manage ? [{ key: "do", title: t("admin.do"), sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`
      <span class="acts">
        ${keyState(one, now) === "good" && html`<button type="button" aria-label=${t("admin.named", { action: t("key.rotate"), name: one.name })} onClick=${() => setAsking({ what: "rotate", key: one })}>${t("key.rotate")}</button>`}
        ${["good", "replaced"].includes(keyState(one, now)) && html`<button type="button" aria-label=${t("admin.named", { action: t("key.revoke"), name: one.name })} onClick=${() => setAsking({ what: "revoke", key: one })}>${t("key.revoke")}</button>`}
      </span>` }] : []),
  ];
  return html`
    <${Card} title=${t("admin.keys")} note=${t("keys.note")} actions=${manage && html`<button type="button" class="primary" onClick=${() => setAsking({ what: "add" })}>${t("key.add")}</button>`}>
      <${Loaded} of=${keys} height=${240}>${(/** @type {any[]} */ rows) => html`
        <${Table} caption=${t("admin.keys")} columns=${columns} rows=${rows} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("keys.none")} more=${keys.more} busy=${keys.loading} />`}<//>
    <//>
    ${asking?.what === "add" && html`<${NewKey} onMade=${shown} onClose=${close} />`}
    ${asking?.what === "rotate" && html`<${Rotate} old=${asking.key} onMade=${shown} onClose=${close} />`}
    ${asking?.what === "revoke" && html`<${Revoke} old=${asking.key} onDone=${() => { close(); keys.reload(); }} onClose=${close} />`}
    ${made && html`<${Secret} title=${t("key.secret", { name: made.key.name })} text=${t("key.secret.text")} value=${made.secret} onClose=${() => setMade(null)} />`}`;
}

/** @param {{onMade: (answer: any) => void, onClose: () => void}} props */
function NewKey({ onMade, onClose }) {
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState(/** @type {string[]} */ (["write"]));
  const [day, setDay] = useState("");
  const [host, setHost] = useState("");
  const agent = scopes.length === 1 && scopes[0] === "agent";
  const { busy, problem, wrong, submit } = useSend(async () => onMade(await post(below(["keys"]), { name, scopes, expires: endOfDay(day), ...(agent && host.trim() ? { host: host.trim() } : {}) })));
  const turn = (/** @type {string} */ scope) => (/** @type {boolean} */ on) => setScopes((old) => SCOPES.filter((one) => (one === scope ? on : old.includes(one))));
  return html`
    <${Dialog} title=${t("key.add")} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("key.add")} onCancel=${onClose}>
        <${Field} label=${t("key.name")} value=${name} onInput=${setName} error=${wrong("name")} required hint=${t("key.name.hint")} />
        <fieldset><legend>${t("key.scopes")}</legend>
          ${SCOPES.map((one) => html`<${Field} key=${one} type="checkbox" label=${t(`scope.${one}`)} hint=${t(`scope.${one}.hint`)} value=${scopes.includes(one)} onInput=${turn(one)} />`)}
          ${wrong("scopes") && html`<p class="wrong">${wrong("scopes")}</p>`}
        </fieldset>
        ${agent && html`<${Field} label=${t("key.host")} value=${host} onInput=${setHost} error=${wrong("host")} hint=${t("key.host.hint")} mono />`}
        <${Field} label=${t("key.expires")} type="date" value=${day} onInput=${setDay} error=${wrong("expires")} hint=${t("key.expires.hint")} />
      <//>
    <//>`;
}

/** @param {{old: any, onMade: (answer: any) => void, onClose: () => void}} props */
function Rotate({ old, onMade, onClose }) {
  const [hours, setHours] = useState("24");
  const { busy, problem, submit } = useSend(async () => onMade(await post(`${below(["keys", old.id])}/rotate`, { overlapS: Number(hours) * 3_600 })));
  return html`
    <${Dialog} title=${t("key.rotate.of", { name: old.name })} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("key.rotate")} onCancel=${onClose}>
        <p>${t("key.rotate.text")}</p>
        <${Field} label=${t("key.overlap")} value=${hours} onInput=${setHours} options=${HOURS.map((one) => ({ value: String(one), label: t(`key.overlap.${one}`) }))} />
      <//>
    <//>`;
}

/** @param {{old: any, onDone: () => void, onClose: () => void}} props */
function Revoke({ old, onDone, onClose }) {
  const { busy, problem, submit } = useSend(() => del(below(["keys", old.id])), () => {
    toast(t("key.revoked", { name: old.name }));
    onDone();
  });
  return html`<${Confirm} title=${t("key.revoke.of", { name: old.name })} text=${t("key.revoke.text")} action=${t("key.revoke")} danger busy=${busy} error=${problem} onYes=${submit} onClose=${onClose} />`;
}
