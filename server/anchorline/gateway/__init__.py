"""The loopback gateway: every real request is seen, planned, sent on, and its outcome recorded."""
