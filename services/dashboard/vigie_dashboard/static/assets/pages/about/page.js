// What runs here and where else to look: the doors of the API.
import { html } from "../../core/ui.js";
import { t } from "../../core/i18n.js";
import { Card } from "../../components/card.js";

const LINKS = ["api/dashboard/summary", "api/metrics/business", "api/metrics/application", "api/metrics/system", "api/series", "metrics",
  "api/alerts", "api/alerts/rules", "api/health", "api/health/services", "docs", "health/ready"];
const REQUESTS = ["POST /auth/login", "GET /admin/tenants", "POST /telemetry", "GET /admin/tenant/{tenant}/metrics"];

const example = () => `curl -X POST ${new URL("api/metrics/custom", document.baseURI)} \\
  -H 'Content-Type: application/json' \\
  -d '{"name": "custom_counter", "type": "counter", "value": 1,
       "labels": {"service": "booking", "endpoint": "/api/bookings"}}'`;

export default function About() {
  return html`
    <div class="stack">
      <${Card} title="Vigie"><p>${t("about.text")}</p><//>
      <${Card} title=${t("about.read")}><dl class="doors">${LINKS.map((path) => html`
        <dt><a href=${path}>/${path}</a></dt><dd>${t(`about.${path}`)}</dd>`)}</dl><//>
      <${Card} title=${t("about.credential")}><dl class="doors">${REQUESTS.map((request) => html`
        <dt><code>${request}</code></dt><dd>${t(`about.${request}`)}</dd>`)}</dl><//>
      <${Card} title=${t("about.send")}><pre tabindex="0">${example()}</pre><//>
    </div>`;
}
