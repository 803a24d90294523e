"""The instruments, each complete in its own folder, discovered and never imported by name."""
