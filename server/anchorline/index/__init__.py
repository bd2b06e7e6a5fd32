"""An index of a workspace: where its words, definitions and paths are, and what its git history tells of its files."""
