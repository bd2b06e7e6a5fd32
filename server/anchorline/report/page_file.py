"""The file of a page that the developer has asked for: the dashboard, a replay, an experiment."""

from pathlib import Path
from tempfile import NamedTemporaryFile


def write(path: Path, text: str) -> None:
    """Write a page in one step, for its owner alone; a link in its place is replaced and not followed.

    A repository may hold a link of that name that leads to a file of the developer's. Raises OSError.
    """
    if path.exists() and not path.is_file():  # a device or a pipe
        path.write_text(text, "utf-8")
        return
    with NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8"
    ) as file:
        part = Path(file.name)
    try:
        part.write_text(text, "utf-8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
