"""The lint rules, for what is unclear, costly, unsafe or malformed in a prompt."""
