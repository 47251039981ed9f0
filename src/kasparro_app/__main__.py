"""`python -m kasparro_app` is `kasparro`."""

from kasparro_app.cli.main import main

main()
