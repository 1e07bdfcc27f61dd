"""`python -m respid` is `respid`."""

from respid.cli.main import main

main()
