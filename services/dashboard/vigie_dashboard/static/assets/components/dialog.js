// A question before the page: the browser keeps the focus inside and gives it back.
import { html, useEffect, useId, useRef } from "../core/ui.js";
import { t } from "../core/i18n.js";
import { Icon } from "./icons.js";

/** @param {{title: string, onClose?: () => void, wide?: boolean, children?: any}} props without `onClose` it stays */
export function Dialog({ title, onClose, wide = false, children }) {
  const heading = useId();
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const element = box.current;
    const before = document.activeElement;
    if (element && !element.open) element.showModal();
    /** @type {HTMLElement | null | undefined} */ (element?.querySelector("input, select, textarea"))?.focus();
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  /** @param {Event} event */
  const cancel = (event) => {
    event.preventDefault();
    onClose?.();
  };
  /** Pressed twice, Escape closes it whatever `cancel` says. */
  const closed = () => {
    const element = box.current;
    if (!element?.isConnected || element.open) return;
    if (onClose) onClose();
    else element.showModal();
  };
  return html`
    <dialog ref=${box} class=${wide ? "wide" : ""} aria-labelledby=${heading} onCancel=${cancel} onClose=${closed}>
      <header>
        <h2 id=${heading}>${title}</h2>
        ${onClose && html`<button type="button" class="quiet" aria-label=${t("action.close")} onClick=${onClose}><${Icon} name="close" /></button>`}
      </header>
      ${children}
    </dialog>`;
}

/** A question with two answers. @param {{title: string, text: string, action: string, danger?: boolean, busy?: boolean,
 * error?: string, onYes: () => void, onClose: () => void}} props */
export const Confirm = ({ title, text, action, danger = false, busy = false, error, onYes, onClose }) => html`
  <${Dialog} title=${title} onClose=${onClose}>
    <p>${text}</p>
    ${error && html`<p class="wrong" role="alert">${error}</p>`}
    <div class="buttons">
      <button type="button" onClick=${onClose}>${t("action.cancel")}</button>
      <button type="button" class=${danger ? "danger" : "primary"} disabled=${busy} onClick=${onYes}>${action}</button>
    </div>
  <//>`;
