"""`python -m vigie_standalone` is the `vigie` command."""

from vigie_standalone.cli import main

main()
