// One route and one receiver, as they are changed; nothing is stored before the whole tree is.
import { html, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { Card } from "../../components/card.js";
import { Dialog } from "../../components/dialog.js";
import { Field, Form } from "../../components/form.js";
import { Table } from "../../components/table.js";
import { channelsOf, durations, lines, spelledChannels, spelledDurations, words, wrongWith } from "./routing.js";

const TIMES = /** @type {const} */ (["groupWait", "groupInterval", "repeatInterval"]);

/** @param {{route: import("./routing.js").Route, root: boolean, receivers: string[], onDone: (route: any) => void, onClose: () => void}} props */
export function RouteDialog({ route, root, receivers, onDone, onClose }) {
  const [form, setForm] = useState(() => ({
    matchers: route.matchers.join("\n"), receiver: route.receiver, continue: route.continue, groupBy: (route.groupBy ?? []).join(", "),
    groupWait: spelledDurations(route.groupWait), groupInterval: spelledDurations(route.groupInterval), repeatInterval: spelledDurations(route.repeatInterval),
    muteTimes: route.muteTimes.join(", "), activeTimes: route.activeTimes.join(", "),
  }));
  const bind = (/** @type {keyof typeof form} */ name) => ({ label: t(`route.${name}`), value: form[name], onInput: (/** @type {any} */ value) => setForm((old) => ({ ...old, [name]: value })) });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const groupBy = words(form.groupBy);
    onDone({
      ...route, matchers: root ? [] : lines(form.matchers), receiver: form.receiver, continue: !root && form.continue, groupBy: groupBy.length || (route.groupBy && !route.groupBy.length) ? groupBy : null,
      ...Object.fromEntries(TIMES.map((name) => [name, durations(form[name])])), muteTimes: words(form.muteTimes), activeTimes: words(form.activeTimes),
    });
  };
  return html`
    <${Dialog} title=${t("route.title")} onClose=${onClose} wide>
      <${Form} onSubmit=${submit} busy=${false} action=${t("action.take")} onCancel=${onClose}>
        ${!root && html`<${Field} ...${bind("matchers")} type="textarea" mono hint=${t("route.matchers.hint")} />`}
        <div class="fields">
          <${Field} ...${bind("receiver")} options=${[{ value: "", label: t(root ? "route.nobody" : "route.above") }, ...receivers.map((value) => ({ value, label: value }))]} />
          <${Field} ...${bind("groupBy")} hint=${t("route.groupBy.hint")} mono />
        </div>
        ${!root && html`<${Field} ...${bind("continue")} type="checkbox" hint=${t("route.continue.hint")} />`}
        <div class="fields">${TIMES.map((name) => html`<${Field} key=${name} ...${bind(name)} hint=${t(`route.${name}.hint`)} mono />`)}</div>
        <div class="fields"><${Field} ...${bind("muteTimes")} hint=${t("route.times.hint")} /><${Field} ...${bind("activeTimes")} hint=${t("route.times.hint")} /></div>
      <//>
    <//>`;
}

/** @param {{tree: import("./routing.js").Tree, errors: any[], onAdd: () => void, onChange: (name: string) => void, onRemove: (name: string) => void}} props */
export function Receivers({ tree, errors, onAdd, onChange, onRemove }) {
  const rows = Object.entries(tree.receivers).map(([name, one]) => ({ name, ...one, wrong: wrongWith(errors, `receivers.${name}`) }));
  return html`
    <${Card} title=${t("receivers.all")} actions=${html`<button type="button" onClick=${onAdd}>${t("receiver.new")}</button>`}>
      <${Table} caption=${t("receivers.all")} rows=${rows} rowKey=${(/** @type {any} */ one) => one.name} empty=${t("receivers.none")} columns=${[
        { key: "name", title: t("receiver.name"), render: (/** @type {any} */ one) => html`<b>${one.name}</b>` },
        { key: "channels", title: t("receiver.tells"), wide: true, sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`
          ${one.channels.map((/** @type {any} */ channel) => html`<code>${channel.type} ${channel.destination}</code> `)}${one.escalation && html`<span class="soft">${t("receiver.chain", { name: one.escalation })}</span>`}
          ${!one.channels.length && !one.escalation && html`<span class="soft">${t("receiver.nobody")}</span>`}
          ${one.wrong.map((/** @type {string} */ text) => html`<p class="wrong" role="status">${text}</p>`)}` },
        { key: "do", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => html`<span class="acts">
          <button type="button" aria-label=${t("admin.named", { action: t("action.change"), name: one.name })} onClick=${() => onChange(one.name)}>${t("action.change")}</button>
          <button type="button" aria-label=${t("admin.named", { action: t("action.remove"), name: one.name })} onClick=${() => onRemove(one.name)}>${t("action.remove")}</button></span>` },
      ]} />
    <//>`;
}

/** @param {{name: string | null, receiver: import("./routing.js").Receiver | null, taken: string[], onDone: (name: string, receiver: any) => void, onClose: () => void}} props */
export function ReceiverDialog({ name, receiver, taken, onDone, onClose }) {
  const [form, setForm] = useState({ name: name ?? "", channels: spelledChannels(receiver?.channels ?? []), escalation: receiver?.escalation ?? "" });
  const [wrong, setWrong] = useState("");
  const chains = useLoad((stop) => get("api/oncall/chains", {}, stop), []);
  const known = [...new Set([...(chains.data?.chains.map((/** @type {any} */ one) => one.name) ?? []), ...(form.escalation ? [form.escalation] : [])])];
  const set = (/** @type {string} */ field) => (/** @type {any} */ value) => setForm((old) => ({ ...old, [field]: value }));
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const wanted = form.name.trim();
    if (wanted !== name && taken.includes(wanted)) setWrong(t("receiver.taken"));
    else onDone(wanted, { channels: channelsOf(form.channels), escalation: form.escalation });
  };
  return html`
    <${Dialog} title=${name === null ? t("receiver.new") : name} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${false} action=${t("action.take")} onCancel=${onClose}>
        <${Field} label=${t("receiver.name")} value=${form.name} onInput=${set("name")} required error=${wrong} />
        <${Field} label=${t("receiver.channels")} type="textarea" value=${form.channels} onInput=${set("channels")} hint=${t("receiver.channels.hint")} mono />
        <${Field} label=${t("receiver.escalation")} value=${form.escalation} onInput=${set("escalation")} options=${[{ value: "", label: t("receiver.escalation.none") }, ...known.map((value) => ({ value, label: value }))]} />
      <//>
    <//>`;
}
