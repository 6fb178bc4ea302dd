// Parts of a page, each with an address of its own; `count` is what in it waits for somebody.
import { html } from "../core/ui.js";

/** @param {{label: string, tabs: {id: string, title: string, href: string, count?: string}[], current: string}} props */
export const Tabs = ({ label, tabs, current }) => html`
  <nav class="tabs" aria-label=${label}>
    ${tabs.map((one) => html`<a key=${one.id} href=${one.href} aria-current=${one.id === current ? "page" : undefined}>${one.title}${one.count && html` <span class="badge bad">${one.count}</span>`}</a>`)}
  </nav>`;
