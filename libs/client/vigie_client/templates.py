"""The template of the route that took an ASGI request, from what Starlette and FastAPI leave in the scope.

Their objects are looked at, not imported: an application without them has no such dependency. Only what developers
wrote (templates) is ever returned, nothing that a caller sent (paths).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_INSIDE = "/*"
"""Something below a mount that says no more about itself: static files, another framework."""


def asgi_template(scope: Mapping[str, Any], application: Any, root_path: str) -> str | None:
    """`application` and `root_path` are those of the scope before the request was routed. None: no route took it."""
    mounted = str(scope.get("root_path", ""))[len(root_path) :]
    prefix = _mount_template(application, mounted) if mounted else ""
    if (route := scope.get("route")) is None:
        inner = _by_endpoint(scope.get("app"), scope.get("endpoint"))
    else:
        inner = None if _is_mount(route) else _path(_effective(scope, route))
    if inner is not None:
        return (prefix + inner) or "/"
    return prefix + _INSIDE if mounted else None


def _effective(scope: Mapping[str, Any], route: Any) -> Any:
    """FastAPI keeps a route of an included router as it was written; the prefixes are in the context it leaves."""
    context = scope.get("fastapi", {}).get("effective_route_context")
    return context if context is not None and getattr(context, "original_route", None) is route else route


def _path(route: Any) -> str | None:
    for name in ("path", "path_format"):
        if isinstance(path := getattr(route, name, None), str):
            return path
    return None


def _is_mount(route: Any) -> bool:
    return _path(route) is not None and hasattr(route, "app") and hasattr(route, "routes")


def _by_endpoint(application: Any, endpoint: Any) -> str | None:
    """Routes that FastAPI does not name in the scope, such as those of its own documentation."""
    if endpoint is None:
        return None
    for route in getattr(application, "routes", None) or ():
        if getattr(route, "endpoint", None) is endpoint:
            return _path(route)
    return None


def _mount_template(application: Any, mounted: str) -> str:
    """The templates of the mounts whose paths together are `mounted`."""
    for route in getattr(application, "routes", None) or ():
        regex = getattr(route, "path_regex", None)
        if regex is None or not _is_mount(route):
            continue
        if (match := regex.match(mounted + "/")) is None:
            continue
        rest = "/" + str(match.groupdict().get("path", ""))
        inner = _mount_template(getattr(route, "app", None), rest.rstrip("/")) if rest != "/" else ""
        return (_path(route) or "") + inner
    return "/{mount}"
