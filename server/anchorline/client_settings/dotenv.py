"""A settings file of environment variables (`.env`), as the npm package dotenv reads it.

Its grammar is that package's (github.com/motdotla/dotenv, lib/main.js, LINE), which Gemini CLI and Qwen Code ship: of a
variable that stands there twice the last value counts.
"""

import re

from anchorline.client_settings.document import MARK, Document, Keys

_ASSIGNMENT = re.compile(
    r"^[^\S\n]*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)"
    r"(\s*'(?:\\'|[^'])*'|\s*\"(?:\\\"|[^\"])*\"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?[^\S\n]*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)
_PLAIN = re.compile(r"[^\s#'\"`\\]+\Z")


class Dotenv(Document):
    """The variables of a file; a path is the name of one."""

    def __init__(self, text: str) -> None:
        self._text = text.removeprefix(MARK)
        self._mark = text[: len(text) - len(self._text)]

    @property
    def text(self) -> str:
        """The content as it is now."""
        return self._mark + self._text

    def values(self) -> dict[str, str]:
        """Returns the variables."""
        return {match[1]: _value(match[2] or "") for match in _ASSIGNMENT.finditer(self._text)}

    def item(self, path: Keys) -> str | None:
        """Returns the line that sets a variable, without its end."""
        match = self._assignment(path)
        return None if match is None else match[0]

    def put(self, path: Keys, value: object) -> None:
        """Sets a variable, in its own line where it has one. Raises ValueError for a value that needs quotes."""
        if not isinstance(value, str) or not _PLAIN.match(value):
            raise ValueError(f"{path[-1]} can't be written without quotes")
        self.put_item(path, f"{path[-1]}={value}")

    def put_item(self, path: Keys, item: object) -> None:
        """Sets the line of a variable."""
        match = self._assignment(path)
        if match is not None:
            self._text = self._text[: match.start()] + str(item) + self._text[match.end() :]
            return
        end = "\r\n" if "\r\n" in self._text else "\n"
        if self._text and not self._text.endswith("\n"):
            self._text += end
        self._text += f"{item}{end}"

    def drop(self, path: Keys) -> None:
        """Takes a variable's line out."""
        match = self._assignment(path)
        if match is not None:
            after = self._text.find("\n", match.end()) + 1
            self._text = self._text[: match.start()] + (self._text[after:] if after else "")

    def _assignment(self, path: Keys) -> re.Match[str] | None:
        assignments = [match for match in _ASSIGNMENT.finditer(self._text) if match[1] == path[-1]]
        return assignments[-1] if assignments else None


def _value(written: str) -> str:
    """Returns a value as dotenv makes it of what is written."""
    value = written.strip()
    if len(value) > 1 and value[0] in "'\"`" and value[0] == value[-1]:
        quote, value = value[0], value[1:-1]
        if quote == '"':
            value = value.replace("\\n", "\n").replace("\\r", "\r")
    return value
