// The navigation: on wide screens at the side, on phones at the foot, where what does not fit is behind one more button.
import { html, useEffect, useState } from "../core/ui.js";
import { number, t } from "../core/i18n.js";
import { href, route } from "../core/router.js";
import { logOut, may, me, state } from "../core/session.js";
import { Icon } from "../components/icons.js";
import { doing } from "../components/toasts.js";
import { firing } from "../core/firing.js";
import { LoginDialog } from "./login.js";

/** @typedef {import("../pages.js").Page} Page */

/** @param {{pages: Page[], current: string}} props */
export function Rail({ pages, current }) {
  const [all, setAll] = useState(false);
  const [login, setLogin] = useState(false);
  useEffect(() => setAll(false), [route.value]);
  useEffect(() => { if (state.value === "user") setLogin(false); }, [state.value]);
  return html`
    <nav class=${`rail ${all ? "all" : ""}`} aria-label=${t("nav.pages")}>
      <div class="brand"><${Icon} name="vigie" />Vigie</div>
      ${pages.map((one, n) => html`<${Entry} key=${one.path} page=${one} current=${one.path === current} last=${one.group === "last" && pages[n - 1]?.group !== "last"} />`)}
      <button type="button" class="menu" aria-expanded=${all ? "true" : "false"} onClick=${() => setAll(!all)}><${Icon} name="menu" />${t("nav.more")}</button>
      <div class="who">
        ${state.value === "user"
          ? html`<span title=${me.value?.role ?? ""}>${me.value?.name}</span><button type="button" class="quiet" onClick=${() => doing(logOut, t("session.loggedOut"))}>${t("session.logOut")}</button>`
          : html`<span>${t("session.anonymous")}</span><button type="button" onClick=${() => setLogin(true)}>${t("session.logIn")}</button>`}
      </div>
    </nav>
    ${login && html`<${LoginDialog} onClose=${() => setLogin(false)} />`}`;
}

/** @param {{page: Page, current: boolean, last: boolean}} props */
function Entry({ page, current, last }) {
  const count = page.path === "alerts" && may("alerts.read") ? firing.value : 0;
  return html`
    <a href=${href(page.path)} class=${`${page.group} ${last ? "down" : ""}`} aria-current=${current ? "page" : undefined}>
      <${Icon} name=${page.icon} />${t(page.title)}
      ${count > 0 && html`<span class="count">${number(count)}<span class="sr-only"> ${t("nav.firing", { count })}</span></span>`}
    </a>`;
}

