"""`python -m respid` is `respid`."""

from respid.cli import main

main()
