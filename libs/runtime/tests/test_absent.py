"""What libraries may not import."""

import subprocess
import sys
from importlib import import_module

import pytest
from vigie_runtime.absent import absent, installed

UNWANTED = ("rich", "pygments", "opentelemetry.sdk.metrics", "pymongo.pyopenssl_context")


def test_module_is_not_there_inside_and_is_outside() -> None:
    with absent("wsgiref.validate"), pytest.raises(ModuleNotFoundError):
        import_module("wsgiref.validate")
    assert import_module("wsgiref.validate").validator


def test_module_that_is_imported_already_stays() -> None:
    with absent("json"):
        import json
    assert json.dumps([]) == "[]"


def test_services_do_without_what_libraries_would_import_for_nothing() -> None:
    code = f"import sys, vigie_runtime.clients; print(*[one for one in {UNWANTED} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unwanted = {"pymongo.pyopenssl_context"} if installed("OpenSSL") else set[str]()
    assert set(done.stdout.split()) <= unwanted


def test_only_what_is_installed_is_said_to_be() -> None:
    assert installed("json")
    assert not installed("no_such_module_of_anybody")
