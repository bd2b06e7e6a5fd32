"""The prompt: its model, its formats, its fingerprints and its tokens."""
