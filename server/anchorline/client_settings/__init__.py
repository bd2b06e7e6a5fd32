"""Settings files of editors and agents: edits that keep every other byte, and undo."""
