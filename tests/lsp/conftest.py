"""The servers of support/lsp_servers.py for every test here."""

from support.lsp_servers import client, shared, slow, start

__all__ = ["client", "shared", "slow", "start"]
