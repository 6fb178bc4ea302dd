"""What the routes of alerting work with."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from vigie_web import context as web

from vigie_alerting.resources import Resources
from vigie_alerting.settings import AlertingSettings

Context: TypeAlias = web.Context[AlertingSettings, Resources]
Ctx = Annotated[Context, web.AUTHORIZED]
