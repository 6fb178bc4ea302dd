// Who there is and what they may do: usage, users, keys, the audit log, tenants.
import { html } from "../../core/ui.js";
import { t } from "../../core/i18n.js";
import { href, route } from "../../core/router.js";
import { may, tenant } from "../../core/session.js";
import { Tabs } from "../../components/tabs.js";
import { Audit } from "./audit.js";
import { Keys } from "./keys.js";
import { Tenants } from "./tenants.js";
import { Usage } from "./usage.js";
import { Users } from "./users.js";

/** @type {{id: string, permission: string, view: any}[]} */
const PARTS = [
  { id: "usage", permission: "tenant.read", view: Usage },
  { id: "users", permission: "users.read", view: Users },
  { id: "keys", permission: "keys.read", view: Keys },
  { id: "audit", permission: "audit.read", view: Audit },
  { id: "tenants", permission: "platform.read", view: Tenants },
];

export default function Administration() {
  const parts = PARTS.filter((one) => may(one.permission));
  const part = parts.find((one) => one.id === route.value.segments[1]) ?? parts[0];
  return html`
    <${Tabs} label=${t("nav.administration")} current=${part.id}
      tabs=${parts.map((one) => ({ id: one.id, title: t(`admin.${one.id}`), href: href(["administration", one.id]) }))} />
    <${part.view} key=${`${part.id} ${tenant.value}`} />`;
}
