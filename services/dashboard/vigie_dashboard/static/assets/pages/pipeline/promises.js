// The promises that a running Vigie can prove of itself: how each stands, by what, and when that was last so.
import { html } from "../../core/ui.js";
import { number, seconds, t } from "../../core/i18n.js";
import { exactly, when } from "../../core/time.js";
import { Badge } from "../../components/badge.js";

const TONES = /** @type {Record<string, any>} */ ({ kept: "ok", "at-risk": "warn", broken: "bad", unknown: "none" });

/** @param {{promises: any[]}} props */
export const Promises = ({ promises }) => html`
  <ul class="promises">${promises.map((one) => html`
    <li key=${one.name}>
      <div class="what"><b>${t(`promise.${one.name}`)}</b><${Badge} tone=${TONES[one.state]}>${t(`promise.is.${one.state}`)}<//></div>
      <p>${proof(one)}</p>
      <small>${one.proven ? html`${t("promise.proven")} <time title=${exactly(one.proven)}>${when(one.proven)}</time>` : t("promise.unproven")}</small>
    </li>`)}
  </ul>`;

/** @param {{name: string, state: string, numbers: Record<string, number>}} one */
function proof(one) {
  const numbers = one.numbers;
  if (one.state === "unknown") return t("promise.nobody");
  if (one.name === "alerts") return t("promise.alerts.proof", { took: seconds(numbers.tookMs / 1000), pending: numbers.pending });
  if (one.name === "set-aside") return numbers.letters ? t("promise.set-aside.proof", { count: numbers.letters }) : t("promise.set-aside.none");
  if (one.name === "counted") {
    const text = t("promise.counted.proof", { partitions: numbers.partitions ?? 0, lag: numbers.lag ?? 0, lost: numbers.lost });
    return numbers.still ? `${text} ${t("promise.counted.still", { count: numbers.still })}` : text;
  }
  return t("promise.durable.proof", { partitions: number(numbers.partitions), brokers: numbers.brokers, leaderless: numbers.leaderless, behind: numbers.behind });
}
