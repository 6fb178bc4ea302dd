// The icons, as paths on a grid of 24.
import { html } from "../core/ui.js";

const PATHS = {
  vigie: "M12 3v4M7 21l2-10h6l2 10M6 11h12M9 7h6l1 4H8z",
  pulse: "M4 13h4l2-7 4 12 2-5h4",
  bell: "M12 4a5 5 0 0 0-5 5v4l-2 3h14l-2-3V9a5 5 0 0 0-5-5zM10 19h4",
  heart: "M12 20s-7-4.500-7-10a4 4 0 0 1 7-2 4 4 0 0 1 7 2c0 5.500-7 10-7 10z",
  search: "M11 5a6 6 0 1 0 0 12a6 6 0 1 0 0-12M20 20l-4-4",
  server: "M5.500 5h13v6h-13zM5.500 13h13v6h-13zM8 8h.01M8 16h.01",
  grid: "M5 4h6v7H5zM14 4h6v7h-6zM5 14h6v6H5zM14 14h6v6h-6z",
  antenna: "M12 12m-2 0a2 2 0 1 0 4 0 2 2 0 1 0-4 0M5 5a10 10 0 0 0 0 14M19 5a10 10 0 0 1 0 14",
  pipeline: "M4 12h4l3 6 4-12 2 6h3",
  person: "M12 4.500a3.500 3.500 0 1 0 0 7a3.500 3.500 0 1 0 0-7M5 20c1-4 4-5 7-5s6 1 7 5",
  info: "M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16M12 11v5M12 8h.01",
  close: "M6 6l12 12M18 6L6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
};

/** @typedef {keyof typeof PATHS} IconName */

/** A picture beside a word, which says it all: screen readers pass over it. @param {{name: IconName}} props */
export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
