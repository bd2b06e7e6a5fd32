"""The replay laboratory: what caching policies would have cost on recorded requests, by the providers' rules."""
