"""Instruction files (CLAUDE.md, AGENTS.md, …) in warm prefixes, and what an edit of one costs (lint rule AL209)."""
