"""What all connections of one process share."""
