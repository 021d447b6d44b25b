"""`python -m kdriver`."""

from kdriver.cli import main

main()
