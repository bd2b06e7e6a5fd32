"""The rules: what is unclear, costly, unsafe or malformed in a prompt."""
