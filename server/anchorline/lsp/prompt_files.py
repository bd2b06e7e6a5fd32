"""Names, languages and schemes of documents that are prompts.

Editors send every document of the languages that they were told to, so the server decides by file name,
language and scheme. Chat drafts of VS Code are documents as well (`chatSessionInput:`, plain text): they are
served only where the developer asked for it.
"""

from typing import Literal

from anchorline.lsp.documents import Document, to_path
from anchorline.prompt.model import Format

SUFFIXES = (".prompt.md", ".instructions.md", ".agent.md", ".chatmode.md")
NAMES = frozenset({"SKILL.md", "AGENTS.md", "CLAUDE.md", "GEMINI.md", "copilot-instructions.md", ".rules"})
BODIES = (".request.json", ".chat.json")
LANGUAGES = frozenset({"prompt", "instructions", "chatagent", "skill"})
SCHEMES = frozenset({"file", "untitled", "vscode-remote", "vscode-userdata", "vscode-vfs"})
CHAT_SCHEME = "chatsessioninput"

_INSTRUCTIONS = LANGUAGES - {"prompt"}

Serving = Literal["prompt", "body", "transcript"]


def serving(document: Document, *, chat: bool) -> Serving | None:
    """Returns as what a document is served; None for the many that are no prompt."""
    if document.scheme == CHAT_SCHEME:
        return "prompt" if chat else None
    if document.scheme not in SCHEMES:
        return None
    name = document.name
    if name in NAMES or name.endswith(SUFFIXES) or document.language in LANGUAGES:
        return "prompt"
    if name.endswith(BODIES):
        return "body"
    if name.endswith(".jsonl"):
        return "transcript"
    return None


def name_of(document: Document) -> str:
    """Returns the name by which a document is known for a prompt or for instructions: its path, or its language."""
    if document.language in _INSTRUCTIONS:
        return f"{document.name}.instructions.md"
    path = to_path(document.uri)
    return document.name if path is None else str(path)


def format_of(document: Document) -> Format | None:
    """Returns the format that a document's kind implies; None where its content has to tell."""
    if document.scheme == CHAT_SCHEME or document.language in LANGUAGES:
        return "markdown"
    return None
