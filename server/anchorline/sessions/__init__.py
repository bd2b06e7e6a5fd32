"""Recorded sessions: what their files say was sent and billed."""
