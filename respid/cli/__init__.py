"""What a person types: options, commands, exit codes, the log."""
