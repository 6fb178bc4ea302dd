"""House rules as checks. Run all of them with `python -m tools.lints`; `make lint` does."""
