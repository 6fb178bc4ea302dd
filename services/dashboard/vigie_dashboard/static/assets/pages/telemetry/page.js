// What the nodes of all tenants report, and of one.
import { html } from "../../core/ui.js";
import { route } from "../../core/router.js";
import { tenant } from "../../core/session.js";
import { Platform } from "./platform.js";
import { Tenant } from "./tenant.js";

export default function Telemetry() {
  return route.value.segments[1] === "tenant" ? html`<${Tenant} key=${tenant.value} />` : html`<${Platform} />`;
}
