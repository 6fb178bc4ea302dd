// The tree that says who is told, and where an alert would go.
import { html, useState } from "../../core/ui.js";
import { get, post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { Card } from "../../components/card.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Empty, Loaded } from "../../components/states.js";

export function Routes() {
  const tree = useLoad((stop) => get("api/alerts/routes", {}, stop), []);
  return html`
    <div class="grid">
      <${Card} title=${t("routes.tree")} note=${tree.data && t("routes.version", { version: tree.data.version })}>
        <${Loaded} of=${tree} height=${200}>${(/** @type {any} */ data) => (data.version === 0
          ? html`<${Empty} title=${t("routes.none")} />`
          : html`<ul class="tree"><${Branch} route=${data.route} receivers=${data.receivers} /></ul>`)}<//>
      <//>
      <${Where} />
    </div>`;
}

/** @param {{route: any, receivers: any}} props */
function Branch({ route, receivers }) {
  const told = receivers[route.receiver];
  const names = told ? [...told.channels.map((/** @type {any} */ one) => `${one.type} ${one.destination}`), ...(told.escalation ? [told.escalation] : [])].join(", ") : "";
  return html`
    <li><code>${route.matchers.length ? `{${route.matchers.join(", ")}}` : t("routes.all")}</code>
      ${route.receiver && html` → <b>${route.receiver}</b>`}${names && html` <span class="soft">${names}</span>`}${route.continue && html` <span class="soft">${t("routes.continue")}</span>`}
      ${route.routes.length > 0 && html`<ul>${route.routes.map((/** @type {any} */ one, /** @type {number} */ n) => html`<${Branch} key=${n} route=${one} receivers=${receivers} />`)}</ul>`}
    </li>`;
}

/** Where an alert with these labels would go. */
function Where() {
  const [text, setText] = useState("alertname=DiskFull\nseverity=critical");
  const [answer, setAnswer] = useState(/** @type {any} */ (null));
  const labels = () => Object.fromEntries(text.split("\n").map((one) => one.trim()).filter(Boolean).map((one) => {
    const at = one.indexOf("=");
    return at < 0 ? [one, ""] : [one.slice(0, at).trim(), one.slice(at + 1).trim().replace(/^"(.*)"$/, "$1")];
  }));
  const { busy, problem, submit } = useSend(async () => setAnswer(await post("api/alerts/routes/test", { labels: labels() })));
  return html`
    <${Card} title=${t("routes.where")}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("routes.test")}>
        <${Field} label=${t("alert.labels")} type="textarea" rows=${4} value=${text} onInput=${setText} hint=${t("routes.labels.hint")} mono />
      <//>
      ${answer && html`<div role="status"><p>${answer.sentence}</p>
        <ol class="plain">${answer.steps.map((/** @type {any} */ one, /** @type {number} */ n) => html`<li key=${n}><code>${one.route}</code> ${one.because}</li>`)}</ol></div>`}
    <//>`;
}
