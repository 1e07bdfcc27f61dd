"""`respid check`: draws IDs from running workers over many connections, and verifies everything that respid promises.

`ledger` and `ranges` verify the IDs, `draws` builds the requests, `report` presents the result: all of these are pure.
`wire` encodes and parses, `client_connection` talks to one worker, `run` to all of them. Nothing here shares code with
the server, except for `ids`, which defines what an ID is.
"""

from respid.check.client_connection import Address
from respid.check.report import Report
from respid.check.run import Check, Plan

__all__ = ["Address", "Check", "Plan", "Report"]
