// A silence, with what it would have muted before it is made.
import { html, useEffect, useState } from "../../core/ui.js";
import { post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { named } from "../explore/expression.js";
import { Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { Loading, sentence } from "../../components/states.js";
import { toast } from "../../components/toasts.js";

const LASTING = ["1h", "2h", "8h", "24h", "168h"];
const SETTLED_MS = 400;

/** A matcher as it is written. @param {[string, string]} label */
const matcher = ([name, value]) => `${name}="${value.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n")}"`;

/** @param {{labels?: Record<string, string>, onClose: () => void, onDone?: () => void}} props */
export function SilenceDialog({ labels = {}, onClose, onDone }) {
  const [text, setText] = useState(Object.entries(labels).map(matcher).join("\n"));
  const [length, setLength] = useState("2h");
  const [comment, setComment] = useState("");
  const [confirm, setConfirm] = useState(false);
  const matchers = text.split("\n").map((one) => one.trim()).filter(Boolean);
  const { busy, problem, submit } = useSend(
    () => post("api/alerts/silences", { matchers, startsAt: "now", endsAt: `now+${length}`, comment, ...(confirm ? { confirm } : {}) }),
    () => {
      toast(t("silence.made"));
      onDone?.();
      onClose();
    },
  );
  const preview = usePreview(matchers);
  return html`
    <${Dialog} title=${t("silence.new")} onClose=${onClose} wide>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("silence.make")} onCancel=${onClose}>
        <${Field} label=${t("silence.matchers")} type="textarea" rows=${Math.min(8, Math.max(3, matchers.length + 1))} value=${text} onInput=${setText} hint=${t("silence.matchers.hint")} mono required />
        <div class="fields">
          <${Field} label=${t("silence.length")} value=${length} onInput=${setLength} options=${LASTING.map((one) => ({ value: one, label: t("alert.until.hours", { hours: one.slice(0, -1) }) }))} />
          <${Field} label=${t("silence.comment")} value=${comment} onInput=${setComment} required />
        </div>
        <${Preview} preview=${preview} />
        ${preview.data?.everything && html`<${Field} label=${t("silence.confirm")} type="checkbox" value=${confirm} onInput=${setConfirm} />`}
      <//>
    <//>`;
}

/** What it would have muted; asked when the typing has settled. @param {string[]} matchers */
function usePreview(matchers) {
  const [answer, setAnswer] = useState(/** @type {{data: any, error: any}} */ ({ data: null, error: null }));
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => {
      if (!matchers.length) return;
      post("api/alerts/silences/preview", { matchers, startsAt: "now", endsAt: "now+2h" }, { signal: stop.signal }).then(
        (data) => setAnswer({ data, error: null }),
        (error) => stop.signal.aborted || setAnswer({ data: null, error }),
      );
    }, SETTLED_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [matchers.join("\n")]);
  return answer;
}

/** @param {{preview: {data: any, error: any}}} props */
function Preview({ preview }) {
  const { data, error } = preview;
  if (error) return html`<p class="wrong" role="status">${sentence(error)}</p>`;
  if (!data) return html`<${Loading} height=${80} />`;
  return html`
    <div class="preview" role="status">
      <p><b>${t("silence.now", { count: data.mutesNow })}</b> ${t("silence.past", { alerts: data.wouldHaveMuted.alerts, all: data.alerts, firings: data.wouldHaveMuted.firings })}</p>
      ${data.everything && html`<p class="notice warn">${data.everything}</p>`}
      ${data.examples.length > 0 && html`<ul class="plain">${data.examples.slice(0, 5).map((/** @type {any} */ one) => html`<li key=${one.id}><code>${named(one.labels)}</code></li>`)}</ul>`}
    </div>`;
}
