// The login: as a page where nothing is open to all, else as a dialog; and what is said when a session has ended.
import { html, useState } from "../core/ui.js";
import { t } from "../core/i18n.js";
import { logIn, openToAll, withoutLogin } from "../core/session.js";
import { Dialog } from "../components/dialog.js";
import { Field, Form, useSend } from "../components/form.js";
import { Icon } from "../components/icons.js";

/** @param {{onDone?: () => void, onCancel?: () => void}} props */
function LoginForm({ onDone, onCancel }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [home, setHome] = useState("");
  const { busy, problem, submit } = useSend(() => logIn(name, password, home.trim()), onDone);
  return html`
    <${Form} onSubmit=${submit} busy=${busy} problem=${problem} action=${t("session.logIn")} onCancel=${onCancel}>
      <${Field} label=${t("login.name")} name="username" value=${name} onInput=${setName} required autocomplete="username" />
      <${Field} label=${t("login.password")} name="password" type="password" value=${password} onInput=${setPassword} required autocomplete="current-password" />
      <${Field} label=${t("login.tenant")} name="tenant" value=${home} onInput=${setHome} hint=${t("login.tenant.hint")} autocomplete="organization" />
    <//>`;
}

/** @param {{ended?: boolean}} props */
export const LoginPage = ({ ended = false }) => html`
  <main class="alone" id="main">
    <div class="brand"><${Icon} name="vigie" />Vigie</div>
    <section class="card">
      <h1>${t("session.logIn")}</h1>
      ${ended && html`<p class="notice" role="alert">${t("session.ended")}</p>`}
      <${LoginForm} />
      ${ended && openToAll.value && html`<p><button type="button" class="link" onClick=${withoutLogin}>${t("session.without")}</button></p>`}
    </section>
  </main>`;

/** @param {{onClose: () => void}} props */
export const LoginDialog = ({ onClose }) => html`
  <${Dialog} title=${t("session.logIn")} onClose=${onClose}><${LoginForm} onDone=${onClose} onCancel=${onClose} /><//>`;

/** Stays before the page until somebody has logged in, or said that they go on without. */
export const EndedDialog = () => html`
  <${Dialog} title=${t("session.ended.title")}>
    <p>${t("session.ended")}</p>
    <${LoginForm} />
    ${openToAll.value && html`<p><button type="button" class="link" onClick=${withoutLogin}>${t("session.without")}</button></p>`}
  <//>`;
