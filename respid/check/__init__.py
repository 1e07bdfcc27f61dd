"""What an operator runs after the installation: many connections draw from all workers, and every promise is verified.

`ranges` and `ledger` verify and `draws` says what is asked; they are pure. `replies` and `client` talk to the workers,
`report` says how it went. Knows nothing of how a server works.
"""
