"""Reads a settings file in the form that its name says."""

from pathlib import Path
from typing import Any

from anchorline.client_settings import jsonc
from anchorline.client_settings.document import MARK, Document, Keys, UnwritableError
from anchorline.client_settings.dotenv import Dotenv


def read(file: Path, content: bytes) -> Document:
    """Returns the document in a file, told by its name: TOML, `.env`, or JSON with comments. Raises UnwritableError."""
    try:
        text = content.decode()
        if file.name == ".env":
            return Dotenv(text)
        if file.suffix != ".toml":
            return _Json(text)
        from anchorline.client_settings.toml_document import toml  # noqa: PLC0415  (40 ms: most agents keep JSON)

        return toml(text)
    except ValueError as error:
        raise UnwritableError(f"{file}: {error}; so the setting is added by hand") from None


class _Json(Document):
    def __init__(self, text: str) -> None:
        self._text = text.removeprefix(MARK)
        self._mark = text[: len(text) - len(self._text)]
        self.values()  # what can't be read is told now

    @property
    def text(self) -> str:
        return self._mark + self._text

    def values(self) -> dict[str, Any]:
        return jsonc.values(self._text)

    def item(self, path: Keys) -> str | None:
        return None if jsonc.empty(self._text) else jsonc.get(self._text, path)

    def put(self, path: Keys, value: object) -> None:
        self._text = jsonc.put(self._text, path, value)

    def put_item(self, path: Keys, item: object) -> None:
        self.put(path, None)
        self._text = jsonc.replace(self._text, path, str(item))

    def drop(self, path: Keys) -> None:
        self._text = jsonc.drop(self._text, path)
