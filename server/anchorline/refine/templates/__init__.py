"""Instructions to a language model for refining a draft: one file for each family of models, the user's own first."""

import tomllib
from importlib import resources
from pathlib import Path

import msgspec

DEFAULT = "default"


class TemplateError(Exception):
    """A template file can't be used. The message names the file and what is wrong."""


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The turns of a request. `text` holds ``{draft}``, and ``{facts}`` where `facts` shall stand."""

    instruction: str
    text: str = "{draft}"
    facts: str = ""

    def filled(self, draft: str, facts: str) -> str:
        """Returns the user's turn. Nothing in the draft or the facts is taken for a place of the template."""
        shown = self.facts.replace("{facts}", facts) if facts else ""
        before, _, after = self.text.partition("{draft}")
        return before.replace("{facts}", shown) + draft + after.replace("{facts}", shown)


def load(model: str, folder: str = "") -> Template:
    """Returns the template for a model: of the longest family name that its id begins with, else the default.

    `folder` is the user's own; its files count before the built-in ones. Raises TemplateError.
    """
    own = _files(Path(folder).expanduser()) if folder else {}
    files = {**_files(Path(str(resources.files(__name__)))), **own}
    family = max((name for name in files if model.startswith(name)), key=len, default=DEFAULT)
    return _read(files[family])


def _files(folder: Path) -> dict[str, Path]:
    try:
        return {path.stem: path for path in folder.iterdir() if path.suffix == ".toml"}
    except OSError as error:
        raise TemplateError(f"{folder}: {error.strerror or error}") from None


def _read(path: Path) -> Template:
    try:
        template = msgspec.convert(tomllib.loads(path.read_text("utf-8-sig")), Template)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise TemplateError(f"{path}: {error}") from None
    if "{draft}" not in template.text:
        raise TemplateError(f"{path}: text: holds no {{draft}}")
    return template
