// How a target is defined, in short, and when it may be away.
import { html } from "../../core/ui.js";
import { lasting, number, t } from "../../core/i18n.js";
import { to } from "../../pages.js";
import { exactly, when } from "../../core/time.js";
import { Card } from "../../components/card.js";

/** @param {{target: any}} props */
export function Definition({ target }) {
  const is = target.definition;
  /** @type {[string, any][]} */
  const pairs = [
    [t("target.kind"), t(`kind.${is.kind}`)],
    [t(is.kind === "heartbeat" ? "target.interval.heartbeat" : "target.interval"), lasting(is.interval)],
    [t(is.kind === "heartbeat" ? "target.timeout.heartbeat" : "target.timeout"), is.timeout < 1000 ? `${number(is.timeout)} ms` : lasting(is.timeout)],
    [t("target.retries"), is.retries],
    [t("target.failureThreshold"), is.failureThreshold],
    [t("target.group"), is.group],
    [t("target.description"), is.description],
    [t("target.labels"), Object.entries(is.labels).map(([name, value]) => `${name}=${value}`).join(", ")],
    [t("target.regions"), is.regions.join(", ")],
    [t("target.section.expect"), Object.keys(is.expect).length ? html`<code>${JSON.stringify(is.expect)}</code>` : ""],
    [t("target.dependsOn"), is.dependsOn.length ? is.dependsOn.map((/** @type {string} */ name, /** @type {number} */ n) => html`${n > 0 && ", "}<a href=${to(["health", name])}>${name}</a>`) : ""],
    [t("target.changed"), html`<span title=${exactly(is.updatedAt)}>${when(is.updatedAt)}</span> ${is.updatedBy}`],
  ];
  return html`
    <${Card} title=${t("target.definition")}>
      <dl class="facts spread">${pairs.filter((one) => one[1] !== "" && one[1] !== 0).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
      ${target.maintenance.length > 0 && html`
        <h3>${t("target.section.maintenance")}</h3>
        <ul class="feed">${target.maintenance.map((/** @type {any} */ one) => html`<li><time datetime=${one.starts}>${when(one.starts)}</time><span>${t("maintenance.until", { time: when(one.ends) })} ${one.reason} ${one.current && html`<b>${t("maintenance.current")}</b>`}</span></li>`)}</ul>`}
    <//>`;
}
