"""The language server: framing, JSON-RPC, and one file of `features/` for each method."""
