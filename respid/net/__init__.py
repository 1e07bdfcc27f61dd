"""How Redis clients come in: listeners, connections, who waits for an ID."""
