// The app: language, then who is looking, then the page.
import { startLanguage } from "./core/i18n.js";
import { startLive } from "./core/live.js";
import { startSession } from "./core/session.js";
import { html, render } from "./core/ui.js";
import { Shell } from "./shell/shell.js";
import "./core/theme.js";

await startLanguage();
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
const failure = await startSession();
root.replaceChildren();
render(html`<${Shell} failure=${failure} />`, root);
startLive();
