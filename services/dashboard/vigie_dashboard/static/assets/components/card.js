// A part of a page, with its name, what it is of, and the way to more.
import { html, useId } from "../core/ui.js";

/** @param {{title: string, note?: any, link?: string, linkText?: string, actions?: any, id?: string, class?: string, children?: any}} props */
export function Card({ title, note, link, linkText, actions, id, class: more = "", children }) {
  const heading = useId();
  return html`
    <section class=${`card ${more}`} id=${id} aria-labelledby=${heading}>
      <header>
        <h2 id=${heading}>${title}</h2>
        ${note && html`<small>${note}</small>`}
        ${(link || actions) && html`<span class="more">${actions}${link && html`<a href=${link} aria-describedby=${heading}>${linkText}</a>`}</span>`}
      </header>
      ${children}
    </section>`;
}
