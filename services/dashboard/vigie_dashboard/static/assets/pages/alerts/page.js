// Alerts and what makes them: which are open, what watches, who is told and who is not.
import { html } from "../../core/ui.js";
import { t } from "../../core/i18n.js";
import { href, route } from "../../core/router.js";
import { may } from "../../core/session.js";
import { AlertDetail } from "./detail.js";
import { AlertList } from "./list.js";
import { Channels } from "./channels.js";
import { OnCall } from "./oncall.js";
import { Routes } from "./routes.js";
import { ScheduleView } from "./schedule.js";
import { RuleEditor } from "./rule.js";
import { Rules } from "./rules.js";
import { Silences } from "./silences.js";

const TABS = [
  { path: "", permission: "alerts.read", view: AlertList },
  { path: "rules", permission: "monitoring.read", view: Rules },
  { path: "silences", permission: "alerts.read", view: Silences },
  { path: "routes", permission: "monitoring.read", view: Routes },
  { path: "channels", permission: "monitoring.read", view: Channels },
  { path: "oncall", permission: "alerts.read", view: OnCall },
];

export default function Alerts() {
  const [, part = "", id = ""] = route.value.segments;
  const tab = TABS.find((one) => one.path === part);
  const shown = TABS.filter((one) => may(one.permission));
  return html`
    <nav class="tabs" aria-label=${t("alerts.parts")}>
      ${shown.map((one) => html`<a key=${one.path} href=${href(one.path ? ["alerts", one.path] : "alerts")} aria-current=${one === (tab ?? TABS[0]) ? "page" : undefined}>${t(`alerts.part.${one.path || "open"}`)}</a>`)}
    </nav>
    ${part === "rules" && id && may("monitoring.read") ? html`<${RuleEditor} key=${id} id=${id} />`
      : part === "oncall" && id && may("monitoring.read") ? html`<${ScheduleView} key=${id} name=${id} />`
      : tab ? (shown.includes(tab) ? html`<${tab.view} />` : html`<p>${t("alerts.notYours")}</p>`)
      : html`<${AlertDetail} key=${part} id=${part} />`}`;
}
