// What is watched.
import { html, useState } from "../../core/ui.js";
import { get, patch } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { go, href } from "../../core/router.js";
import { may } from "../../core/session.js";
import { Badge, Severity } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { doing } from "../../components/toasts.js";

export function Rules() {
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const [cursor, setCursor] = useState(/** @type {string | null} */ (null));
  const rules = useLoad(async (stop) => {
    const page = await get("api/alerts/rules", { limit: 200 }, stop);
    setMore([]);
    setCursor(page.nextCursor);
    return page;
  }, []);
  const further = async () => {
    const page = await get("api/alerts/rules", { limit: 200, cursor });
    setMore([...more, ...page.rules]);
    setCursor(page.nextCursor);
  };
  const turn = (/** @type {any} */ one) => doing(async () => {
    await patch(`api/alerts/rules/${encodeURIComponent(one.id)}`, { enabled: !one.enabled });
    rules.reload();
  }, t(one.enabled ? "rule.off.done" : "rule.on.done", { name: one.name }));
  const edit = may("monitoring.configure");
  return html`
    <${Card} title=${t("rules.all")} note=${rules.data && t("rules.count", { count: rules.data.total })} link=${edit ? href(["alerts", "rules", "new"]) : undefined} linkText=${t("rules.new")}>
      <${Loaded} of=${rules} height=${360}>${(/** @type {any} */ data) => html`
        <${Table} caption=${t("rules.all")} rows=${[...data.rules, ...more]} rowKey=${(/** @type {any} */ one) => one.id} onOpen=${(/** @type {any} */ one) => go(["alerts", "rules", one.id])} more=${cursor ? further : null}
          columns=${[
            { key: "name", title: t("rule.name"), wide: true, render: (/** @type {any} */ one) => html`<b>${one.name}</b><br /><code>${one.promql}</code>` },
            { key: "group", title: t("rule.group") },
            { key: "severity", title: t("alerts.severity"), render: (/** @type {any} */ one) => (one.kind === "recording" ? "" : html`<${Severity} value=${one.severity} />`) },
            { key: "health", title: t("rule.health"), sort: (/** @type {any} */ one) => one.health?.error ?? "", render: (/** @type {any} */ one) => html`<${RuleHealth} rule=${one} />` },
            { key: "on", title: "", sort: /** @type {false} */ (false), render: (/** @type {any} */ one) => edit && !one.managedBy && html`<button type="button" aria-label=${t(one.enabled ? "rule.off.named" : "rule.on.named", { name: one.name })} onClick=${() => turn(one)}>${t(one.enabled ? "rule.off" : "rule.on")}</button>` },
          ]} />`}<//>
    <//>`;
}

/** @param {{rule: any}} props */
function RuleHealth({ rule }) {
  if (!rule.enabled) return html`<${Badge}>${t("rule.isOff")}<//>`;
  if (rule.health?.error) return html`<${Badge} tone="bad" title=${rule.health.error}>${t("state.error")}<//>`;
  return html`<${Badge} tone="ok">${t("state.ok")}<//>`;
}
