"""The files that were worked on in a session, the newest first."""

from pathlib import Path

MOST = 50


class RecentFiles:
    """What was edited or saved in the editor, or changed in the workspace while it runs."""

    def __init__(self) -> None:
        self._paths: dict[Path, None] = {}

    def add(self, path: Path) -> None:
        """Takes note of a file that is worked on."""
        self._paths.pop(path, None)
        self._paths[path] = None
        if len(self._paths) > MOST:
            del self._paths[next(iter(self._paths))]

    def below(self, root: Path) -> list[str]:
        """Returns the files of a folder relative to it, with forward slashes."""
        return [
            path.relative_to(root).as_posix() for path in reversed(self._paths) if path.is_relative_to(root)
        ]
