"""Refinement of the draft: analyse, ground, rewrite, guard, propose. Never more than a proposal."""
