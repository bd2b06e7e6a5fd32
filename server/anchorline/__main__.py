"""``python -m anchorline`` is ``anchorline``."""

from anchorline.cli.main import main

main()
