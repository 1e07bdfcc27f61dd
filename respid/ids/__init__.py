"""The ID core: arithmetic over injected time. It does no IO, never sleeps and never logs."""
