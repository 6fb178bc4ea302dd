// What surrounds a page: navigation, the bar with range and zone, the login, what is wrong with the connection.
import { html, useEffect, useRef, useState } from "../core/ui.js";
import { t } from "../core/i18n.js";
import { HOME, route } from "../core/router.js";
import { me, openToAll, state, tenant } from "../core/session.js";
import { Failed, Loading } from "../components/states.js";
import { Toasts } from "../components/toasts.js";
import { allowed, PAGES } from "../pages.js";
import { Bar } from "./bar.js";
import { EndedDialog, LoginPage } from "./login.js";
import { Rail } from "./rail.js";

/** @typedef {import("../pages.js").Page} Page */

/** @param {{failure: unknown}} props */
export function Shell({ failure }) {
  if (failure && state.value === "unknown") {
    return html`<main class="alone"><${Failed} error=${failure} retry=${() => location.reload()} /></main>`;
  }
  if (state.value === "ended" && !me.value) return html`<${LoginPage} ended=${true} />`;
  if (state.value === "anonymous" && !openToAll.value) return html`<${LoginPage} />`;
  return html`<${App} />`;
}

function App() {
  const page = PAGES.find((one) => one.path === route.value.path);
  const title = page ? t(page.title) : t("page.unknown");
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const shown = useRef(route.value.path);
  useEffect(() => {
    document.title = `${title} | Vigie`;
    if (shown.current === route.value.path) return;
    shown.current = route.value.path;
    scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  });
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>${t("nav.skip")}</a>
    <div class="app">
      <${Rail} pages=${PAGES.filter(allowed)} current=${route.value.path} />
      <main id="main" tabindex="-1" ref=${main}>
        <${Bar} title=${title} />
        ${content(page)}
      </main>
    </div>
    ${state.value === "ended" && html`<${EndedDialog} />`}
    <${Toasts} />`;
}

/** @param {Page | undefined} page */
function content(page) {
  if (!page) return html`<section class="card"><p>${t("page.unknown.text")} <a href=${`#/${HOME}`}>${t("nav.overview")}</a></p></section>`;
  if (!allowed(page)) return html`<section class="card"><p>${t("page.forbidden", { permission: page.permission ?? "", tenant: tenant.value })}</p></section>`;
  return html`<${Lazy} key=${`${page.path} ${tenant.value}`} page=${page} />`;
}

/** A page, when its files are there. @param {{page: Page}} props */
function Lazy({ page }) {
  const [made, setMade] = useState(/** @type {{view: any, error: unknown}} */ ({ view: null, error: null }));
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let here = true;
    page.load().then(
      (file) => here && setMade({ view: file.default, error: null }),
      (error) => here && setMade({ view: null, error }),
    );
    return () => { here = false; };
  }, [page, turn]);
  if (made.error) return html`<${Failed} error=${made.error} retry=${() => setTurn(turn + 1)} />`;
  return made.view ? html`<${made.view} />` : html`<${Loading} height=${320} />`;
}
