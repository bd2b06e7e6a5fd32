"""What the server offers, one method of the protocol a file. `anchorline.lsp.server` binds them."""
