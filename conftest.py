"""Gives every test of the workspace the fixtures of `tests/kit`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # pytest's importlib mode adds nothing to the path by itself

pytest_plugins = ["tests.kit.plugin"]
