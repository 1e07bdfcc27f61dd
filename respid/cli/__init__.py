"""The command line: options, commands, exit codes and the log."""
