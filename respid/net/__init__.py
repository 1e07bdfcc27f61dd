"""How Redis clients connect: listeners, connections, and the queue of requests that wait for an ID."""
