"""What an operator runs after the installation: many connections draw from all workers, and every promise is verified.

`ranges` and `ledger` verify, `draws` says what is asked, `report` how it went: these are pure. `replies` and
`connection` talk to one worker, `run` to all. Knows nothing of how a server works.
"""

from respid.check.client_connection import Address
from respid.check.report import Report
from respid.check.run import Check, Plan

__all__ = ["Address", "Check", "Plan", "Report"]
