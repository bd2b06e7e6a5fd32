"""`anchorline disconnect`: see `connect`."""

from anchorline.cli.connect import back as command

__all__ = ["command"]
