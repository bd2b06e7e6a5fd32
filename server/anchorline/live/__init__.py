"""The ledger, plans, recording and log that language server and gateway share while they run."""
