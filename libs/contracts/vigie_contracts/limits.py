"""Every bound of the intake in one place, with its unit. A bound that is crossed gives an error that names it."""

from __future__ import annotations

from typing import Final

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Compressed request body, bytes."""
MAX_DECOMPRESSED_BYTES: Final = 32 * 1024 * 1024
"""Request body after gzip or zstd, bytes. Crossing it is refused while decompressing, not after."""
MAX_BATCH_ITEMS: Final = 10_000
"""Metrics or events in one request."""
MAX_RECORD_BYTES: Final = 1_000_000
"""One Kafka record, bytes: below the default `message.max.bytes` (1,048,588) of every managed Kafka."""
MAX_RECORD_SAMPLES: Final = 40_000
"""Samples in one Kafka record: at most 20 bytes each, 8 more for a new series and 28 for a request key."""

MAX_NAME_CHARS: Final = 200
"""Metric name, characters."""
MAX_LABELS: Final = 64
"""Labels of one series."""
MAX_LABEL_NAME_CHARS: Final = 128
MAX_LABEL_VALUE_CHARS: Final = 1_024
MAX_LABELS_BYTES: Final = 8 * 1024
"""All label names and values of one series together, bytes of UTF-8."""
MAX_TENANT_CHARS: Final = 64

MAX_FUTURE_SKEW_MS: Final = 10 * 60 * 1000
"""How far ahead of the gateway's clock a timestamp may be, milliseconds."""
MAX_AGE_MS: Final = 400 * 24 * 3600 * 1000
"""The oldest timestamp that is taken: the retention of the coarsest tier, milliseconds."""

MAX_IDEMPOTENCY_KEY_CHARS: Final = 255
IDEMPOTENCY_TTL_S: Final = 24 * 3600
"""How long a repeated request is recognised, seconds."""

MAX_SERIES_PER_TENANT: Final = 1_000_000
"""Default; a tenant's plan may say less."""
MAX_EVENT_DATA_BYTES: Final = 64 * 1024
"""The `data` of one CloudEvent, bytes."""
