// Fields with a name, a hint and what is wrong with them, tied together for screen readers.
import { html, useId, useState } from "../core/ui.js";
import { Problem } from "../core/http.js";
import { t } from "../core/i18n.js";
import { sentence } from "./states.js";

/**
 * @typedef {{label: string, value?: any, onInput?: (value: any) => void, name?: string, type?: string, hint?: string,
 * error?: string, required?: boolean, options?: (string | {value: string, label: string})[], rows?: number, mono?: boolean,
 * disabled?: boolean, placeholder?: string, autocomplete?: string, list?: string[], min?: number,
 * max?: number, step?: number | string, minlength?: number}} FieldProps
 */

/** One field: text, password, number, `select` (with options), `textarea` or `checkbox`. @param {FieldProps} props */
export function Field(props) {
  const id = useId();
  const { label, hint, error, type = "text" } = props;
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const control = controlOf(props, { id, "aria-describedby": described, "aria-invalid": error ? "true" : undefined });
  return html`
    <div class=${`field ${type === "checkbox" ? "check" : ""}`}>
      <label for=${id}>${label}${props.required && html`<span class="needed" aria-hidden="true"> *</span>`}</label>
      ${control}
      ${hint && html`<small id=${`${id}-hint`}>${hint}</small>`}
      ${error && html`<small id=${`${id}-error`} class="wrong">${error}</small>`}
    </div>`;
}

/** @param {FieldProps} props @param {Record<string, unknown>} shared */
function controlOf(props, shared) {
  const { value, onInput, type = "text", options, name, required, disabled, placeholder, autocomplete, rows, list } = props;
  const mono = props.mono ? "mono" : "";
  /** @param {Event} event */
  const changed = (event) => {
    const target = /** @type {HTMLInputElement} */ (event.target);
    onInput?.(type === "checkbox" ? target.checked : target.value);
  };
  const common = { ...shared, name, required, disabled, placeholder, autocomplete };
  if (options) {
    const choices = options.map((one) => (typeof one === "string" ? { value: one, label: one } : one));
    return html`<select ...${common} onChange=${changed}>
      ${choices.map((one) => html`<option value=${one.value} selected=${one.value === value}>${one.label}</option>`)}
    </select>`;
  }
  if (type === "textarea") return html`<textarea ...${common} class=${mono} rows=${rows ?? 3} value=${value ?? ""} onInput=${changed} spellcheck="false"></textarea>`;
  if (type === "checkbox") return html`<input ...${common} type="checkbox" checked=${Boolean(value)} onChange=${changed} />`;
  const known = list?.length ? `${shared.id}-list` : undefined;
  return html`
    <input ...${common} type=${type} class=${mono} value=${value ?? ""} onInput=${changed} list=${known}
      min=${props.min} max=${props.max} step=${props.step} minlength=${props.minlength} />
    ${known && html`<datalist id=${known}>${list?.map((one) => html`<option value=${one} />`)}</datalist>`}`;
}

/** The state of a form that is sent: busy, what was wrong, and the sending.
 * @param {() => Promise<unknown>} send @param {() => void} [done] */
export function useSend(send, done) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  /** @param {Event} [event] */
  const submit = async (event) => {
    event?.preventDefault();
    if (busy) return;
    setBusy(true);
    setError(null);
    try {
      await send();
      done?.();
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  /** What is wrong with one field. @param {string} field */
  const wrong = (field) => (error instanceof Problem ? error.of(field) : "");
  return { busy, error, submit, wrong, problem: error ? sentence(error) : "" };
}

/** @param {{onSubmit: (event: Event) => void, busy: boolean, problem?: string, action: string, onCancel?: () => void, danger?: boolean, children?: any}} props */
export const Form = ({ onSubmit, busy, problem, action, onCancel, danger, children }) => html`
  <form onSubmit=${onSubmit} noValidate=${false}>
    ${children}
    ${problem && html`<p class="wrong" role="alert">${problem}</p>`}
    <div class="buttons">
      ${onCancel && html`<button type="button" onClick=${onCancel}>${t("action.cancel")}</button>`}
      <button type="submit" class=${danger ? "danger" : "primary"} disabled=${busy}>${action}</button>
    </div>
  </form>`;
