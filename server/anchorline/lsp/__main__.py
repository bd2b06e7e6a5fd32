"""``python -m anchorline.lsp`` is ``anchorline lsp``."""

from anchorline.lsp.server import main

main()
