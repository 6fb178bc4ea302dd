// A question by choosing: a metric, what is computed of it, by which labels, of which series.
import { html } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad } from "../../core/load.js";
import { Field } from "../../components/form.js";
import { FUNCTIONS } from "./expression.js";

/** @param {{built: import("./expression.js").Built, onChange: (changes: Record<string, string>) => void, onRun: () => void}} props */
export function Builder({ built, onChange, onRun }) {
  const metrics = useLoad((stop) => get("api/v1/metadata", { limit: 2000 }, stop).then((one) => Object.keys(one.data).sort()), []);
  const labels = useLoad(async (stop) => (built.metric ? (await get("api/v1/labels", { "match[]": `{__name__="${built.metric.replace(/["\\]/g, "\\$&")}"}` }, stop)).data : []), [built.metric]);
  const known = (labels.data ?? []).filter((/** @type {string} */ one) => one !== "__name__");
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    onRun();
  };
  return html`
    <form onSubmit=${submit}>
      <div class="fields">
        <${Field} label=${t("explore.metric")} value=${built.metric} onInput=${(/** @type {string} */ metric) => onChange({ metric })} list=${metrics.data ?? []} required mono />
        <${Field} label=${t("explore.function")} value=${built.fn} options=${FUNCTIONS} onInput=${(/** @type {string} */ fn) => onChange({ fn })} />
        <${Field} label=${t("explore.by")} value=${built.by} onInput=${(/** @type {string} */ by) => onChange({ by })} list=${known} hint=${known.length ? known.join(", ") : t("explore.by.hint")} mono />
        <${Field} label=${t("explore.match")} value=${built.match} onInput=${(/** @type {string} */ match) => onChange({ match })} placeholder="service=hotel-booking" hint=${t("explore.match.hint")} mono />
      </div>
      <div class="buttons"><button type="submit" class="primary">${t("explore.run")}</button></div>
    </form>`;
}
