"""LSP messages between the editor and the server: framing, JSON-RPC, standard input and output."""
