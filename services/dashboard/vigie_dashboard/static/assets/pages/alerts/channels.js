// Where notifications go, and whether they would arrive.
import { html, useState } from "../../core/ui.js";
import { del, get, post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { may } from "../../core/session.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Loaded, sentence } from "../../components/states.js";
import { Table } from "../../components/table.js";

const TYPES = ["slack", "email", "webhook", "apprise"];

export function Channels() {
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState(/** @type {any} */ (null));
  const channels = useLoad((stop) => get("api/alerts/channels", {}, stop), []);
  const edit = may("monitoring.configure");
  return html`
    <${Card} title=${t("channels.all")} actions=${edit && html`<button type="button" onClick=${() => setMaking(true)}>${t("channel.new")}</button>`}>
      <${Loaded} of=${channels} height=${200}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("channels.all")} rows=${data.channels} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("channels.none")} columns=${[
          { key: "name", title: t("channel.name"), render: (/** @type {any} */ one) => html`<b>${one.name || one.type}</b>${one.default && html` <${Badge}>${t("channel.default")}<//>`}` },
          { key: "type", title: t("channel.type") },
          { key: "destination", title: t("channel.destination"), wide: true, render: (/** @type {any} */ one) => html`<code>${one.destination}</code>` },
          { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => edit && html`<${Test} channel=${one} />${!one.default && html` <button type="button" onClick=${() => setRemoving(one)}>${t("action.delete")}</button>`}` },
        ]} />`}<//>
    <//>
    ${making && html`<${NewChannel} onClose=${() => setMaking(false)} onDone=${channels.reload} />`}
    ${removing && html`<${Removal} channel=${removing} onClose=${() => setRemoving(null)} onDone=${channels.reload} />`}`;
}

/** Sends one message, and says what became of it. @param {{channel: any}} props */
function Test({ channel }) {
  const [told, setTold] = useState(/** @type {{text: string, tone: any} | null} */ (null));
  const [busy, setBusy] = useState(false);
  const test = async () => {
    setBusy(true);
    try {
      const answer = await post(`api/alerts/channels/${encodeURIComponent(channel.id)}/test`);
      setTold(answer.delivered ? { text: t("channel.delivered"), tone: "ok" } : { text: answer.detail, tone: "bad" });
    } catch (e) {
      setTold({ text: sentence(e), tone: "bad" });
    }
    setBusy(false);
  };
  return html`<button type="button" disabled=${busy} aria-label=${t("channel.test.named", { name: channel.name || channel.type })} onClick=${test}>${t("channel.test")}</button>
    <span role="status">${told && html` <${Badge} tone=${told.tone} title=${told.text}>${told.text}<//>`}</span>`;
}

/** @param {{onClose: () => void, onDone: () => void}} props */
function NewChannel({ onClose, onDone }) {
  const [form, setForm] = useState({ name: "", type: "webhook", destination: "" });
  const change = (/** @type {string} */ field) => (/** @type {any} */ value) => setForm({ ...form, [field]: value });
  const { busy, problem, submit, wrong } = useSend(() => post("api/alerts/channels", form), () => {
    onDone();
    onClose();
  });
  return html`
    <${Dialog} title=${t("channel.new")} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("action.save")} onCancel=${onClose}>
        <${Field} label=${t("channel.name")} value=${form.name} onInput=${change("name")} required error=${wrong("name")} />
        <${Field} label=${t("channel.type")} value=${form.type} onInput=${change("type")} options=${TYPES} error=${wrong("type")} />
        <${Field} label=${t("channel.destination")} value=${form.destination} onInput=${change("destination")} hint=${t("channel.destination.hint")} required error=${wrong("destination")} mono />
      <//>
    <//>`;
}

/** @param {{channel: any, onClose: () => void, onDone: () => void}} props */
function Removal({ channel, onClose, onDone }) {
  const { busy, problem, submit } = useSend(() => del(`api/alerts/channels/${encodeURIComponent(channel.id)}`), () => {
    onDone();
    onClose();
  });
  return html`<${Confirm} title=${t("channel.delete", { name: channel.name })} text=${t("channel.delete.text")} action=${t("action.delete")} danger busy=${busy} error=${problem} onYes=${() => submit()} onClose=${onClose} />`;
}
