"""What the routes of healthcheck work with."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from vigie_web import context as web

from vigie_healthcheck.resources import Resources
from vigie_healthcheck.settings import HealthcheckSettings

Context: TypeAlias = web.Context[HealthcheckSettings, Resources]
Ctx = Annotated[Context, web.AUTHORIZED]
