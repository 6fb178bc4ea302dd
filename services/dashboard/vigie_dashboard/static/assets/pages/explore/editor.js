// An expression with suggestions: a text field and a list beside it. Arrows choose, Enter or Tab takes, Escape closes,
// Ctrl+Enter asks.
import { html, useEffect, useId, useRef, useState } from "../../core/ui.js";
import { get } from "../../core/api.js";
import { t } from "../../core/i18n.js";
import { useLoad, useTick } from "../../core/load.js";
import { completed, fitting, names, placeAt } from "./expression.js";

/** @typedef {import("./expression.js").Place} Place */

const EVERY_MS = 30_000;

/** @param {{value: string, onInput: (value: string) => void, onRun: () => void, error?: string}} props */
export function Editor({ value, onInput, onRun, error }) {
  const id = useId();
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const [place, setPlace] = useState(/** @type {Place | null} */ (null));
  const [chosen, setChosen] = useState(0);
  const known = useKnown(place);
  const offered = place ? fitting(known, place.typed) : [];
  useEffect(() => setChosen(0), [place?.typed, place?.kind]);

  const look = () => {
    const element = field.current;
    if (element) setPlace(placeAt(element.value, element.selectionStart));
  };
  /** @param {string} word */
  const take = (word) => {
    const element = field.current;
    if (!element || !place) return;
    const [text, at] = completed(element.value, element.selectionStart, place, word);
    element.value = text; // at once: who types on must find the cursor behind the word
    element.focus();
    element.setSelectionRange(at, at);
    onInput(text);
    setPlace(null);
  };
  /** @param {KeyboardEvent} event */
  const key = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || !offered.length)) {
      if (event.shiftKey) return;
      setPlace(null);
      onRun();
    } else if (!offered.length) return;
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") setChosen((chosen + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length);
    else if (event.key === "Enter" || event.key === "Tab") take(offered[chosen] ?? offered[0]);
    else if (event.key === "Escape") setPlace(null);
    else return;
    event.preventDefault();
  };
  return html`
    <div class="editor">
      <label class="sr-only" for=${id}>${t("explore.expression")}</label>
      <textarea id=${id} ref=${field} class="mono" rows="2" spellcheck="false" autocomplete="off" aria-autocomplete="list"
        aria-controls=${`${id}-list`} aria-activedescendant=${offered.length ? `${id}-${chosen}` : undefined}
        aria-invalid=${error ? "true" : undefined} aria-describedby=${error ? `${id}-error` : undefined} placeholder=${t("explore.placeholder")}
        value=${value} onInput=${(/** @type {any} */ event) => { onInput(event.target.value); look(); }} onKeyDown=${key} onClick=${look} onBlur=${() => setPlace(null)}></textarea>
      <ul id=${`${id}-list`} role="listbox" aria-label=${t("explore.suggestions")} hidden=${!offered.length}>
        ${offered.map((one, n) => html`<li key=${one} id=${`${id}-${n}`} role="option" aria-selected=${n === chosen ? "true" : "false"}
          onMouseDown=${(/** @type {Event} */ event) => { event.preventDefault(); take(one); }}>${one}</li>`)}
      </ul>
      ${error && html`<p class="wrong" id=${`${id}-error`} role="alert">${error}</p>`}
    </div>`;
}

/** What could stand at a place. @param {Place | null} place @returns {string[]} */
export function useKnown(place) {
  const tick = useTick(EVERY_MS);
  const metrics = useLoad((stop) => get("api/v1/label/__name__/values", { limit: 5000 }, stop).then((one) => one.data), [tick]);
  const kind = place?.kind ?? "name";
  const about = kind === "name" ? "" : `${kind} ${place?.metric} ${place?.label}`;
  const more = useLoad(async (stop) => {
    if (!place || kind === "name") return [];
    const match = place.metric && (metrics.data ?? []).includes(place.metric) ? { "match[]": place.metric } : {};
    const path = kind === "label" ? "api/v1/labels" : `api/v1/label/${encodeURIComponent(place.label)}/values`;
    return (await get(path, { ...match, limit: 1000 }, stop)).data;
  }, [about]);
  if (kind === "name") return names(metrics.data ?? []);
  return (more.data ?? []).filter((/** @type {string} */ one) => one !== "__name__");
}
