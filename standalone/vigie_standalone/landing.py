"""The page at `/`: what runs here and where to look. No scripts, nothing from elsewhere."""

import html

LINKS = (
    ("/api/dashboard/summary", "Dashboard summary", "bookings, revenue, requests and errors of the last hour (JSON)"),
    ("/api/metrics/business", "Business metrics", "bookings, revenue by currency, funnel, satisfaction (JSON)"),
    ("/api/metrics/application", "Application metrics", "requests, latencies, errors (JSON)"),
    ("/api/metrics/system", "System metrics", "processor, memory, disk, network (JSON)"),
    ("/api/series", "Series", "find what is recorded by name and labels (JSON)"),
    ("/metrics", "Latest values", "for Prometheus and OpenMetrics scrapers"),
    ("/api/alerts", "Alerts", "what fires, and what is over (JSON)"),
    ("/api/alerts/rules", "Rules", "what is watched (JSON)"),
    ("/api/health", "Health", "how many targets are up (JSON)"),
    ("/api/health/services", "Targets", "what is asked, and whether it answers (JSON)"),
    ("/docs", "API reference", "every request and answer, works offline"),
    ("/health/ready", "Readiness", "of the services behind this origin"),
    ("/internal/metrics/ingest", "Vigie's own metrics: ingest", "for Prometheus"),
    ("/internal/metrics/api", "Vigie's own metrics: api", "for Prometheus"),
    ("/internal/metrics/push", "Vigie's own metrics: push", "for Prometheus"),
)
INBOX = ("/inbox", "Inbox", "mails and webhooks that alerting sent, caught on this machine")
REQUESTS = (
    ("POST /auth/login", "logs in with a name and a password, and answers a token to send as Authorization: Bearer"),
    ("GET /admin/tenants", "and the rest of /admin: tenants, licences, users, keys and the audit log, for who may"),
    ("POST /telemetry", "takes what a node reports of itself, for the tenant that it names"),
    (
        "GET /admin/tenant/{tenant}/metrics",
        "reads it back, with /latest and /aggregated; /admin/global/summary and /admin/global/usage-trends are over "
        "all tenants, for SUPERADMIN and SUPPORT",
    ),
)
"""What a browser's click cannot show: it needs a body or a credential."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What browsers are told that the page needs: the few lines of style inside it."""
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
dt { margin-top: .8rem } dd { margin: 0; opacity: .75 } code, pre { font-size: .9em }
pre { padding: .8rem; border: 1px solid #8886; border-radius: .4rem; overflow-x: auto }
"""
EXAMPLE = """curl -X POST ORIGIN/api/metrics/custom \\
  -H 'Content-Type: application/json' \\
  -d '{"name": "custom_counter", "type": "counter", "value": 1,
       "labels": {"service": "booking", "endpoint": "/api/bookings"}}'"""


def landing_page(origin: str, *, inbox: bool = False) -> str:
    """The page's HTML; `origin` is where the reader reached it, for the example to paste."""
    links = "".join(
        f'<dt><a href="{path}">{html.escape(title)}</a> <code>{path}</code></dt><dd>{html.escape(text)}</dd>'
        for path, title, text in (*LINKS, *([INBOX] if inbox else []))
    )
    requests = "".join(
        f"<dt><code>{html.escape(request)}</code></dt><dd>{html.escape(text)}</dd>" for request, text in REQUESTS
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Vigie</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>Vigie</h1>"
        "<p>This is the front door: what you send goes to <b>ingest</b>, what you read comes from <b>api</b>, and "
        "<b>aggregator</b> turns samples into windows between them; <b>alerting</b> watches rules, and "
        "<b>healthcheck</b> asks targets whether they answer. "
        "A user interface is not part of this version; "
        f"these are the doors that are there:</p><dl>{links}</dl>"
        f"<h2>With a credential or a body</h2><dl>{requests}</dl><h2>Send something</h2>"
        f"<pre>{html.escape(EXAMPLE.replace('ORIGIN', origin))}</pre></body></html>"
    )
