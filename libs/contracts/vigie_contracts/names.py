"""The metric names that Vigie itself gives a meaning to: what events become, and what the dashboards read.

Any other name is stored and queried just the same; these are the ones that summaries and charts know about.
"""

from __future__ import annotations

from typing import Final

from vigie_contracts.series import Kind

# Business: what business events are mapped to.
EVENTS: Final = "events_total"
"""counter {type, service}: every event taken, whatever its type."""
BOOKINGS_CREATED: Final = "bookings_created_total"
BOOKINGS_COMPLETED: Final = "bookings_completed_total"
BOOKINGS_CANCELLED: Final = "bookings_cancelled_total"
"""counter {service}"""
REVENUE: Final = "booking_revenue_total"
"""counter {service, currency}: the amounts of completed bookings, in units of the currency (19.99, not cents)."""
REFUNDS: Final = "booking_refunds_total"
"""counter {service, currency}: the amounts of refunded payments."""
PAYMENTS: Final = "payments_total"
"""counter {service, status = succeeded | failed | refunded, method}"""
PAYMENT_AMOUNT: Final = "payment_amount_total"
"""counter {service, currency}: the amounts of succeeded payments."""
FUNNEL_STEPS: Final = "funnel_steps_total"
"""counter {service, step}"""
SATISFACTION: Final = "satisfaction_score"
"""histogram {service}: scores as given, by convention 1 to 5."""
SESSIONS_STARTED: Final = "sessions_started_total"
SESSIONS_ENDED: Final = "sessions_ended_total"
"""counter {service}"""
SESSION_DURATION: Final = "session_duration_seconds"
"""histogram {service}, seconds"""
ACTIVE_USERS: Final = "active_users"
"""gauge {service}"""

BUSINESS: Final = (
    EVENTS, BOOKINGS_CREATED, BOOKINGS_COMPLETED, BOOKINGS_CANCELLED, REVENUE, REFUNDS, PAYMENTS,
    PAYMENT_AMOUNT,     FUNNEL_STEPS, SATISFACTION, SESSIONS_STARTED, SESSIONS_ENDED, SESSION_DURATION, ACTIVE_USERS,
)  # fmt: skip

FUNNEL_ORDER: Final = ("visit", "search", "cart", "payment", "booked")
"""The usual steps, first to last. Steps of other names are shown after them."""

# Application.
HTTP_REQUESTS: Final = "http_requests_total"
"""counter {service, method, endpoint, status}"""
HTTP_DURATION: Final = "http_request_duration_seconds"
"""histogram {service, endpoint}, seconds"""
ACTIVE_CONNECTIONS: Final = "active_connections"
"""gauge {service}"""
DB_QUERY_DURATION: Final = "db_query_duration_seconds"
"""histogram {service, operation}, seconds"""

APPLICATION: Final = (HTTP_REQUESTS, HTTP_DURATION, ACTIVE_CONNECTIONS, DB_QUERY_DURATION)

# System.
CPU_USAGE: Final = "system_cpu_usage_percent"
"""gauge {host, core?}, 0 to 100: of the whole host, or with `core` of one of its cores"""
MEMORY_USAGE: Final = "system_memory_usage_percent"
DISK_USAGE: Final = "system_disk_usage_percent"
"""gauge {host}, 0 to 100"""
MEMORY_USED: Final = "system_memory_used_bytes"
MEMORY_AVAILABLE: Final = "system_memory_available_bytes"
"""gauge {host}, bytes"""
LOAD_AVERAGE: Final = "system_load_average"
"""gauge {host, period = 1m | 5m | 15m}"""
DISK_READ: Final = "system_disk_read_bytes_total"
DISK_WRITTEN: Final = "system_disk_written_bytes_total"
DISK_READS: Final = "system_disk_reads_completed_total"
DISK_WRITES: Final = "system_disk_writes_completed_total"
"""counter {host}, operations"""
NETWORK_RECEIVED: Final = "system_network_received_bytes_total"
NETWORK_SENT: Final = "system_network_sent_bytes_total"
"""counter {host}, bytes"""

MEMORY_TOTAL: Final = "system_memory_total_bytes"
MEMORY_FREE: Final = "system_memory_free_bytes"
SWAP_TOTAL: Final = "system_swap_total_bytes"
SWAP_USED: Final = "system_swap_used_bytes"
DISK_TOTAL: Final = "system_disk_total_bytes"
DISK_USED: Final = "system_disk_used_bytes"
DISK_FREE: Final = "system_disk_free_bytes"
"""gauge {host}, bytes; of the disk that `DISK_USAGE` is about"""
SWAP_USAGE: Final = "system_swap_usage_percent"
"""gauge {host}, 0 to 100"""
FILESYSTEM_USAGE: Final = "system_filesystem_usage_percent"
FILESYSTEM_INODES_USAGE: Final = "system_filesystem_inodes_usage_percent"
"""gauge {host, mount}, 0 to 100"""
PRESSURE: Final = "system_pressure_percent"
"""gauge {host, resource = cpu | memory | io, share = some | full, period = 10s | 60s}, 0 to 100"""
PROCESSES: Final = "system_processes"
PROCESSES_RUNNING: Final = "system_processes_running"
LOGGED_IN: Final = "system_users"
UPTIME: Final = "system_uptime_seconds"
"""gauge {host}"""

SYSTEM: Final = (
    CPU_USAGE, MEMORY_USAGE, DISK_USAGE, MEMORY_USED, MEMORY_AVAILABLE, LOAD_AVERAGE, DISK_READ, DISK_WRITTEN,
    DISK_READS, DISK_WRITES, NETWORK_RECEIVED, NETWORK_SENT, MEMORY_TOTAL, MEMORY_FREE, SWAP_TOTAL, SWAP_USED,
    DISK_TOTAL, DISK_USED, DISK_FREE, SWAP_USAGE, FILESYSTEM_USAGE, FILESYSTEM_INODES_USAGE, PRESSURE, PROCESSES,
    PROCESSES_RUNNING, LOGGED_IN, UPTIME,
)  # fmt: skip

# Hosts: what their agents say of themselves, of sites and of services.
AGENT_UPTIME: Final = "agent_uptime_seconds"
AGENT_BUFFERED: Final = "agent_buffered_reports"
"""gauge {host}"""
SITE_CPU_USAGE: Final = "site_cpu_usage_percent"
SITE_MEMORY_USAGE: Final = "site_memory_usage_percent"
SITE_DISK_USAGE: Final = "site_disk_usage_percent"
"""gauge {host, site}; of one core, of the host's memory or the site's limit, of the site's limit"""
SITE_MEMORY_USED: Final = "site_memory_used_bytes"
SITE_DISK_USED: Final = "site_disk_used_bytes"
SITE_FILES: Final = "site_files"
SITE_PROCESSES: Final = "site_processes"
"""gauge {host, site}"""
SITE_SERVICES: Final = "site_services"
"""gauge {host, site, state = running | stopped | failed}"""
SERVICE_UP: Final = "service_up"
"""gauge {host, site, service}: 1 while a service runs, else 0; nothing while nobody can tell"""
SERVICE_UPTIME: Final = "service_uptime_seconds"
SERVICE_MEMORY_USED: Final = "service_memory_used_bytes"
"""gauge {host, site, service}"""
SERVICE_CPU_TIME: Final = "service_cpu_seconds_total"
SERVICE_RESTARTS: Final = "service_restarts_total"
"""counter {host, site, service}"""

HOSTS: Final = (
    AGENT_UPTIME, AGENT_BUFFERED, SITE_CPU_USAGE, SITE_MEMORY_USAGE, SITE_DISK_USAGE, SITE_MEMORY_USED, SITE_DISK_USED,
    SITE_FILES, SITE_PROCESSES, SITE_SERVICES, SERVICE_UP, SERVICE_UPTIME, SERVICE_MEMORY_USED, SERVICE_CPU_TIME,
    SERVICE_RESTARTS,
)  # fmt: skip

# Nodes: the numbers of their telemetry.
NODE_UPTIME: Final = "node_uptime_seconds"
NODE_ACTIVE_USERS: Final = "node_active_users"
NODE_EXERCISES: Final = "node_exercises_completed_today"
NODE_AI_LATENCY: Final = "node_ai_latency_milliseconds"
NODE_CPU_USAGE: Final = "node_cpu_usage_percent"
NODE_MEMORY_USAGE: Final = "node_memory_usage_percent"
NODE_DISK_USAGE: Final = "node_disk_usage_percent"
NODE_ERRORS: Final = "node_error_count"
"""gauge, without labels: a tenant has one node"""
NODE_ADDITIONAL: Final = "node_additional_data"
"""gauge {key}: any other number at the top of `additionalData`"""

NODE: Final = (
    NODE_UPTIME, NODE_ACTIVE_USERS, NODE_EXERCISES, NODE_AI_LATENCY, NODE_CPU_USAGE, NODE_MEMORY_USAGE,
    NODE_DISK_USAGE, NODE_ERRORS, NODE_ADDITIONAL,
)  # fmt: skip

# Apps: the numbers of what they say of themselves, in the units in which they say them.
APP_CPU_USAGE: Final = "app_cpu_usage"
APP_CPU_SYSTEM: Final = "app_cpu_system"
APP_CPU_USER: Final = "app_cpu_user"
APP_MEMORY_USED: Final = "app_memory_used"
APP_MEMORY_TOTAL: Final = "app_memory_total"
APP_MEMORY_FREE: Final = "app_memory_free"
"""gauge {app}"""
APP_METRIC: Final = "app_metric"
"""gauge {app, key}: any other number, `key` is its path: `network.latency`"""

APPS: Final = (
    APP_CPU_USAGE, APP_CPU_SYSTEM, APP_CPU_USER, APP_MEMORY_USED, APP_MEMORY_TOTAL, APP_MEMORY_FREE, APP_METRIC,
)  # fmt: skip

# Health: what checks of targets find.
PROBE_SUCCESS: Final = "probe_success"
"""gauge {target, kind, group?}: 1 when a check was good, else 0; as all of these with the target's own labels"""
PROBE_DURATION: Final = "probe_duration_seconds"
"""gauge {target, kind, group?}, seconds"""
PROBE_PHASE_DURATION: Final = "probe_phase_duration_seconds"
"""gauge {target, kind, group?, phase}, seconds"""
CERTIFICATE_EXPIRY: Final = "probe_ssl_earliest_cert_expiry"
"""gauge {target, kind, group?}, seconds since 1970"""
TARGET_UP: Final = "target_up"
"""gauge {target, kind, group?}: 1 or 0, after thresholds"""
TARGET_AVAILABLE: Final = "target_available"
"""gauge {target, kind, group?}: 0 when a check failed outside maintenance, else 1"""
TARGET_MUTED: Final = "target_muted"
"""gauge {target, kind, group?}: 1 while nobody is to be alerted"""

HEALTH: Final = (
    PROBE_SUCCESS, PROBE_DURATION, PROBE_PHASE_DURATION, CERTIFICATE_EXPIRY, TARGET_UP, TARGET_AVAILABLE, TARGET_MUTED,
)  # fmt: skip

_GAUGES: Final = frozenset({
    ACTIVE_USERS, ACTIVE_CONNECTIONS, CPU_USAGE, MEMORY_USAGE, DISK_USAGE, MEMORY_USED, MEMORY_AVAILABLE, LOAD_AVERAGE,
    MEMORY_TOTAL, MEMORY_FREE, SWAP_TOTAL, SWAP_USED, DISK_TOTAL, DISK_USED, DISK_FREE, SWAP_USAGE, FILESYSTEM_USAGE,
    FILESYSTEM_INODES_USAGE, PRESSURE, PROCESSES, PROCESSES_RUNNING, LOGGED_IN, UPTIME,
    *NODE, *APPS, *HEALTH, *(frozenset(HOSTS) - {SERVICE_CPU_TIME, SERVICE_RESTARTS}),
})  # fmt: skip
_HISTOGRAMS: Final = frozenset({HTTP_DURATION, DB_QUERY_DURATION, SATISFACTION, SESSION_DURATION})
_GAUGE: Final = frozenset({Kind.GAUGE})
_HISTOGRAM: Final = frozenset({Kind.HISTOGRAM})
_COUNTER: Final = frozenset({Kind.COUNTER, Kind.CUMULATIVE})


def kinds_of(name: str) -> frozenset[Kind]:
    """The kinds of series that one of these names is meant of; a series of another kind is somebody's own metric."""
    return _GAUGE if name in _GAUGES else _HISTOGRAM if name in _HISTOGRAMS else _COUNTER
