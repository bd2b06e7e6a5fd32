"""The handlers of the protocol's methods, one method a file. `anchorline.lsp.setup` binds them."""
