"""The ID core: pure arithmetic over injected time. Never does IO, never sleeps, never logs."""
