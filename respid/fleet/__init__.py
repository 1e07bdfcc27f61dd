"""`respid status`: asks running workers for their state, and shows it as a table. Never draws an ID.

`sample` reads what one worker reports, `table` presents all of them: both are pure. `rounds` asks all workers again and
again.
"""

from respid.check.client_connection import Address
from respid.fleet.rounds import Plan, observe
from respid.fleet.table import Row, describe, find_conflicts, render

__all__ = ["Address", "Plan", "Row", "describe", "find_conflicts", "observe", "render"]
