// "I have it": with a note, and until when.
import { html, useState } from "../../core/ui.js";
import { post } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { Dialog } from "../../components/dialog.js";
import { Field, Form, useSend } from "../../components/form.js";
import { toast } from "../../components/toasts.js";

const UNTIL = ["", "now+1h", "now+4h", "now+24h"];

/** @param {{alert: any, onClose: () => void}} props */
export function Acknowledge({ alert, onClose }) {
  const [note, setNote] = useState(alert.note ?? "");
  const [until, setUntil] = useState("");
  const { busy, problem, submit } = useSend(
    () => post(`api/alerts/${encodeURIComponent(alert.id)}/acknowledge`, { note, ...(until ? { until } : {}) }),
    () => {
      toast(t("alert.acknowledged.done", { name: alert.type }));
      onClose();
    },
  );
  return html`
    <${Dialog} title=${t("alert.acknowledge.named", { name: alert.type })} onClose=${onClose}>
      <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("alert.acknowledge")} onCancel=${onClose}>
        <${Field} label=${t("alert.note")} type="textarea" value=${note} onInput=${setNote} />
        <${Field} label=${t("alert.until")} value=${until} onInput=${setUntil} options=${UNTIL.map((one) => ({ value: one, label: one ? t("alert.until.hours", { hours: one.slice(4, -1) }) : t("alert.until.over") }))} />
      <//>
    <//>`;
}
