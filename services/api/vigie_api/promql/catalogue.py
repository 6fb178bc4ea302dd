"""GET /api/v1/series, /api/v1/labels, /api/v1/label/{name}/values and /api/v1/metadata: what can be asked for."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()
