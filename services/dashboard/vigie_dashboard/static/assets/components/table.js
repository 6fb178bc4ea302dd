// A table: sorted by a click on a column, a row opened by Enter, more rows on demand.
import { html, useMemo, useRef, useState } from "../core/ui.js";
import { t } from "../core/i18n.js";
import { Empty } from "./states.js";

/** @typedef {{key: string, title: string, render?: (row: any) => any, sort?: ((row: any) => any) | false, number?: boolean, wide?: boolean, tight?: boolean}} Column */

/**
 * @param {{caption: string, columns: Column[], rows: any[], rowKey: (row: any) => string, onOpen?: (row: any) => void,
 * empty?: string, more?: (() => void) | null, busy?: boolean, sort?: {key: string, down: boolean} | null}} props
 */
export function Table({ caption, columns, rows, rowKey, onOpen, empty, more, busy = false, sort: first = null }) {
  const [sort, setSort] = useState(first);
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const shown = useMemo(() => (sort ? sorted(rows, columns, sort) : rows), [rows, columns, sort]);
  if (!rows.length) return html`<${Empty} title=${empty ?? t("state.empty")} />`;
  /** @param {Column} column */
  const turn = (column) => setSort(sort?.key === column.key ? { key: column.key, down: !sort.down } : { key: column.key, down: false });
  /** @param {KeyboardEvent} event @param {any} row */
  const key = (event, row) => {
    if (event.target !== event.currentTarget) return;
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === "Enter" || event.key === " ") onOpen?.(row);
    else if (!step) return;
    const lines = [...(body.current?.rows ?? [])];
    lines[lines.indexOf(/** @type {any} */ (event.currentTarget)) + step]?.focus();
    event.preventDefault();
  };
  return html`
    <div class="scroll" role="group" tabindex="0" aria-label=${caption}>
      <table>
        <caption class="sr-only">${caption}</caption>
        <thead><tr>${columns.map((one) => html`
          <th scope="col" class=${one.number ? "num" : ""} aria-sort=${sort?.key === one.key ? (sort.down ? "descending" : "ascending") : undefined}>
            ${one.sort === false || !one.title ? html`<span class=${one.title ? "" : "sr-only"}>${one.title || t("table.actions")}</span>` : html`<button type="button" class="sort" onClick=${() => turn(one)}>${one.title}</button>`}
          </th>`)}</tr></thead>
        <tbody ref=${body}>${shown.map((row) => html`
          <tr key=${rowKey(row)} tabindex=${onOpen ? 0 : undefined} class=${onOpen ? "open" : ""}
            onClick=${onOpen && ((/** @type {MouseEvent} */ event) => !inside(event) && onOpen(row))} onKeyDown=${onOpen && ((/** @type {KeyboardEvent} */ event) => key(event, row))}>
            ${columns.map((one) => html`<td class=${`${one.number ? "num" : ""} ${one.wide ? "wide" : ""} ${one.tight ? "tight" : ""}`}>${one.render ? one.render(row) : row[one.key]}</td>`)}
          </tr>`)}</tbody>
      </table>
    </div>
    ${more && html`<p class="more-rows"><button type="button" disabled=${busy} onClick=${more}>${t("table.more")}</button></p>`}`;
}

/** Whether a click is for something inside the row. @param {MouseEvent} event */
const inside = (event) => event.target instanceof Element && event.target.closest("a, button, input, select, textarea, label, dialog") !== null;

/** @param {any[]} rows @param {Column[]} columns @param {{key: string, down: boolean}} sort */
function sorted(rows, columns, sort) {
  const column = columns.find((one) => one.key === sort.key);
  if (!column) return rows;
  const value = column.sort || ((/** @type {any} */ row) => row[column.key]);
  return [...rows].sort((a, b) => compare(value(a), value(b)) * (sort.down ? -1 : 1));
}

/** Nothing comes last. @param {any} a @param {any} b */
export function compare(a, b) {
  const none = [a, b].map((one) => one === null || one === undefined || Number.isNaN(one));
  if (none[0] || none[1]) return Number(none[0]) - Number(none[1]);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}
