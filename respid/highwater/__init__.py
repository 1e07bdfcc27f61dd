"""Keeps the high-water mark durable, and the reservation ahead of the clock."""
