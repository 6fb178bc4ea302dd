"""Kill anything at any moment under load, and compare what was counted with what was accepted.

`python -m tests.chaos --kills 100` runs it; the integration tests use the same ledger, load and processes.
"""
