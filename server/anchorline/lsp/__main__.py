"""``python -m anchorline.lsp`` is ``anchorline lsp``."""

from anchorline.lsp.main import main

main()
