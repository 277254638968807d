"""`python -m srcli`."""

from srcli.cli.main import run

run()
