// A secret that is shown this once: to copy, with what it is for.
import { html, useId, useRef, useState } from "../core/ui.js";
import { t } from "../core/i18n.js";
import { Dialog } from "./dialog.js";

/** @param {{title: string, text: string, value: string, onClose: () => void, children?: any}} props */
export function Secret({ title, text, value, onClose, children }) {
  const id = useId();
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    box.current?.select();
    try {
      await navigator.clipboard.writeText(value);
      setCopied(true);
    } catch {
      box.current?.focus(); // the page may not write there: it is selected, to be copied by hand
    }
  };
  return html`
    <${Dialog} title=${title}>
      <p>${text}</p>
      <div class="secret">
        <label class="sr-only" for=${id}>${title}</label>
        <input id=${id} ref=${box} class="mono" readonly value=${value} />
        <button type="button" class="primary" onClick=${copy}>${t(copied ? "secret.copied" : "secret.copy")}</button>
      </div>
      <span class="sr-only" role="status">${copied ? t("secret.copied") : ""}</span>
      ${children}
      <div class="buttons"><button type="button" onClick=${onClose}>${t("secret.kept")}</button></div>
    <//>`;
}
