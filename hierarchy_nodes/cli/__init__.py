"""The `hierarchy` command: one module a subcommand."""
