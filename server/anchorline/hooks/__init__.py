"""Hooks and the status line of terminal agents: a client that an agent starts, and the helper process that it asks."""
