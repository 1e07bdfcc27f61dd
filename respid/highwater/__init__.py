"""How the high-water mark stays durable and ahead of the clock."""
