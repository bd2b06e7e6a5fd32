"""What the language server and the gateway share while they run: the ledger, the plans, the store, the log."""
