"""Names, languages and schemes of documents that are prompts.

Editors send every document of the languages that they were told to, so the server decides by file name,
language and scheme. Chat drafts of VS Code are documents as well (`chatSessionInput:`, plain text): they are
served only where the developer asked for it.
"""

from typing import Literal

from anchorline.lsp.documents import Document
from anchorline.prompt.model import Format

SUFFIXES = (".prompt.md", ".instructions.md", ".agent.md", ".chatmode.md")
NAMES = frozenset({"SKILL.md", "AGENTS.md", "CLAUDE.md", "GEMINI.md", "copilot-instructions.md", ".rules"})
BODIES = (".request.json", ".chat.json")
LANGUAGES = frozenset({"prompt", "instructions", "chatagent", "skill"})
SCHEMES = frozenset({"file", "untitled", "vscode-remote", "vscode-userdata", "vscode-vfs"})
CHAT_SCHEME = "chatsessioninput"

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


def format_of(document: Document) -> Format | None:
    """Returns the format that a document's kind implies; None where its content has to tell."""
    if document.scheme == CHAT_SCHEME or document.language in LANGUAGES:
        return "markdown"
    return None
