"""Requests as they were billed, each once, whoever recorded it: the gateway, an editor, or a client's session file."""
