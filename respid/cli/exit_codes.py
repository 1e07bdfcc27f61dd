"""The exit codes of every command, besides 0 for success and 128 + N for a second signal N."""

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT
