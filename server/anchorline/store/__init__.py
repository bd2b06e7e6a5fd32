"""The database: what is recorded on this machine, and how it is kept private."""
