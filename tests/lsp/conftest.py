"""The servers of servers.py for every test here."""

from lsp.servers import client, shared, slow, start

__all__ = ["client", "shared", "slow", "start"]
