"""A feature of a service's API: its routes, a description, and their rows of the access table."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from vigie_web.access import Rows
from vigie_web.problems import ErrorShape


@dataclass(frozen=True, slots=True)
class Feature:
    """Declared beside the routes, and named once in the service's `app`."""

    router: APIRouter
    access: Rows
    description: str = ""
    """Of the router's first tag, in the OpenAPI document."""
    errors: ErrorShape | None = None
    """For clients that know errors of another shape than problem details."""
    errors_below: str = ""
    """A path that ends in a slash: what no route takes below it is answered in that shape too."""
