// What the tenant has beside what it may have, and what it did day by day.
import { html, useMemo } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { compact, number, t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { tenant } from "../../core/session.js";
import { exactly } from "../../core/time.js";
import { Badge } from "../../components/badge.js";
import { Card } from "../../components/card.js";
import { Chart } from "../../components/chart.js";
import { Loaded } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { below, LIMITS } from "./data.js";

const EVERY_MS = 60_000;
const DAYS = 30;
const DAY = 86_400_000;
const HAS = ["series", "users", "keys", "licences"];
const DID = ["samples", "requests", "rejected", "throttled"];
/** From so much of a limit on it is said. */
const NEAR = 0.8;

export function Usage() {
  const tick = useTick(EVERY_MS);
  const about = useLoad((stop) => get(below([]), {}, stop), [tick]);
  const usage = useLoad((stop) => get(below(["usage"]), { days: DAYS }, stop), [tick]);
  const licences = useLoad((stop) => get(below(["licences"]), { limit: 100 }, stop), [tick]);
  return html`
    <${Loaded} of=${usage} height=${120}>${(/** @type {any} */ data) => html`<div class="tiles four">${HAS.map((name) => html`<${Used} key=${name} name=${name} used=${data[name]} />`)}</div>`}<//>
    <div class="grid">
      <${Card} title=${t("usage.days")} note=${t("usage.days.note", { days: DAYS })}>
        <${Loaded} of=${usage} height=${420}>${(/** @type {any} */ data) => html`<${Days} data=${data} />`}<//>
      <//>
      <div class="stack">
        <${Card} title=${tenant.value} note=${about.data?.name}>
          <${Loaded} of=${about} height=${200}>${(/** @type {any} */ data) => html`
            <dl class="facts">
              <dt>${t("tenant.status")}</dt><dd><${Badge} tone=${data.status === "active" ? "ok" : "warn"}>${t(`tenant.is.${data.status}`)}<//></dd>
              ${LIMITS.map((name) => html`<dt>${t(`limit.${name}`)}</dt><dd>${data.plan[name] === null ? t("limit.none") : number(data.plan[name])}</dd>`)}
            </dl>`}<//>
        <//>
        <${Card} title=${t("licences.title")}>
          <${Loaded} of=${licences} height=${80}>${(/** @type {any} */ data) => html`
            <${Table} caption=${t("licences.title")} rows=${data.licences} rowKey=${(/** @type {any} */ one) => one.id} empty=${t("licences.none")}
              columns=${[{ key: "product", title: t("licence.product"), wide: true }, { key: "expires", title: t("licence.expires"), render: (/** @type {any} */ one) => exactly(one.expires) }]} />`}<//>
        <//>
      </div>
    </div>`;
}

/** @param {{name: string, used: {used: number, limit: number}}} props */
function Used({ name, used }) {
  const share = used.limit ? used.used / used.limit : 1;
  const tone = share >= 1 ? "bad" : share >= NEAR ? "warn" : "";
  return html`
    <section class="card tile">
      <h2 class="name">${t(`usage.${name}`)}</h2>
      <div class="value">${number(used.used)} <small>${t("usage.of", { limit: number(used.limit) })}</small></div>
      <span class=${`meter whole ${tone}`} role="img" aria-label=${t("usage.share", { percent: number(Math.floor(share * 100)) })}><i style=${`width:${Math.min(100, share * 100).toFixed(1)}%`}></i></span>
    </section>`;
}

/** @param {{data: any}} props */
function Days({ data }) {
  const days = useMemo(() => [...data.days, data.today], [data]);
  const to = Date.parse(data.today.day);
  const lines = useMemo(() => {
    const known = new Map(days.map((/** @type {any} */ one) => [Date.parse(one.day), one]));
    const at = Array.from({ length: DAYS + 1 }, (_, n) => to - (DAYS - n) * DAY);
    return ["samples", "requests"].map((name, n) => ({
      label: t(`usage.${name}`), color: `series-${n + 1}`, points: at.map((day) => /** @type {[number, number]} */ ([day, known.get(day)?.[name] ?? 0])),
    }));
  }, [days]);
  const columns = [{ key: "day", title: t("usage.day") }, ...DID.map((name) => ({ key: name, title: t(`usage.${name}`), number: true, render: (/** @type {any} */ one) => number(one[name]) }))];
  return html`
    <${Chart} label=${t("usage.days")} lines=${lines} from=${to - DAYS * DAY} to=${to} height=${200} format=${compact} zoom=${false} />
    <${Table} caption=${t("usage.days")} columns=${columns} rows=${[...days].reverse()} rowKey=${(/** @type {any} */ one) => one.day} />`;
}
