"""What recorded sessions say was sent and billed."""
