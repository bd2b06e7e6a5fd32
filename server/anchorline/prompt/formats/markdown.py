"""Prompt and instruction files in Markdown: front matter, then prose and fences in turn.

In a prompt file everything after the front matter is the draft. An instruction file (`CLAUDE.md`, `AGENTS.md`,
…) is context that is sent with every prompt, so it has no draft; its segments are documents.
"""

import re
from codecs import BOM_UTF8

from anchorline.prompt.fingerprint import Chain
from anchorline.prompt.model import Draft, Kind, Prompt, PromptError, Role, Segment
from anchorline.prompt.tokens import estimate, family, spread

MAX_BYTES = 8 * 1024 * 1024

_FRONT_MATTER = re.compile(rb"---[ \t]*\r?\n.*?^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_MODEL = re.compile(r"^model:[ \t]*(.*(?:\n(?:[ \t]+.*|[ \t]*-[ \t].*|\].*))*)", re.MULTILINE)
_NAME = re.compile(r"""'([^'\n]*)'|"([^"\n]*)"|([^\s,\[\]'"][^,\n\[\]]*)""")
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_FENCE = re.compile(rb"^ {0,3}(`{3,}|~{3,})([^\r\n]*)(?:\r?\n|\Z)", re.MULTILINE)

_INSTRUCTION_NAMES = frozenset(
    {
        "claude.md",
        "claude.local.md",
        "agents.md",
        "agents.override.md",
        "agent.md",
        "skill.md",
        "gemini.md",
        "qwen.md",
    }
    | {
        "warp.md",
        "crush.md",
        "conventions.md",
        "copilot-instructions.md",
        ".rules",
        ".cursorrules",
        ".windsurfrules",
    }
    | {".clinerules", ".roorules", ".goosehints"}
)
_INSTRUCTION_SUFFIXES = (".instructions.md", ".agent.md", ".chatmode.md", ".mdc")
_INSTRUCTION_FOLDERS = re.compile(
    r"(?:^|/)\.(?:claude/(?:rules|agents)|clinerules|junie|kiro/steering|roo/rules[^/]*"
    r"|(?:amazonq|augment|continue|cursor|trae|windsurf)/rules)/(?:[^/]+/)*[^/]+\.(?:md|mdc|txt)$"
)
"""Where agents look for rules whose own names say nothing."""


def is_instructions(name: str) -> bool:
    """Says whether a file of this name, or path, holds standing instructions rather than a prompt."""
    path = name.replace("\\", "/").lower()
    base = path.rsplit("/", 1)[-1]
    return (
        base in _INSTRUCTION_NAMES
        or base.endswith(_INSTRUCTION_SUFFIXES)
        or _INSTRUCTION_FOLDERS.search(path) is not None
    )


def read(data: bytes, name: str | None = None, model: str | None = None) -> Prompt:
    """Reads a Markdown document, to be sent to `model` where it names none: tokens are counted as that one does.

    Raises PromptError where it is not UTF-8 or too large.
    """
    if len(data) > MAX_BYTES:
        raise PromptError(f"the document has {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PromptError(f"invalid UTF-8: {error.reason}", offset=error.start, line=line) from error
    instructions = name is not None and is_instructions(name)
    role: Role = "system" if instructions else "user"
    prose: Kind = "document" if instructions else "text"
    chain = Chain()
    segments: list[Segment] = []
    begin = len(BOM_UTF8) if data.startswith(BOM_UTF8) else 0
    front = _FRONT_MATTER.match(data, begin)
    models = _models(front.group()) if front else ()
    counted = family(models[0] if models else model)

    def add(kind: Kind, start: int, end: int) -> None:
        content = data[start:end]
        if not content.strip():
            return
        digest, prefix = chain.add(content, kind.encode())
        index = len(segments)
        tokens = estimate(content, kind, counted)
        wide = spread("text", counted)
        segments.append(Segment(kind, role, start, end, digest, prefix, tokens, wide, "messages", index, -1))

    body = front.end() if front else begin
    add("front_matter", begin, body)
    first = len(segments)
    position = body
    for start, end in fences(data, body):
        add(prose, position, start)
        add("fence", start, end)
        position = end
    add(prose, position, len(data))
    draft = None
    if not instructions and data[body:].strip():
        draft = Draft(data[body:].decode(), first, body, len(data), encoded=False)
    return Prompt(
        format="markdown",
        segments=tuple(segments),
        load=lambda start, end: data[start:end],
        draft=draft,
        model=models[0] if models else None,
        models=models,
    )


def _models(front: bytes) -> tuple[str, ...]:
    """Returns the models that a front matter names: one, or a list in either of YAML's forms."""
    named = _MODEL.search(front.decode().replace("\r\n", "\n"))
    models = []
    for line in named.group(1).split("\n") if named else ():
        for name in _NAME.finditer(line.strip().removeprefix("- ")):
            quoted = name.group(1) if name.group(1) is not None else name.group(2)
            plain = _COMMENT.sub("", name.group(3) or "").strip() if quoted is None else quoted.strip()
            if plain:
                models.append(plain[:128])
            if quoted is None and _COMMENT.search(name.group(3)):
                break
    return tuple(models)


def fences(data: bytes, position: int) -> list[tuple[int, int]]:
    """Returns (start, end) of the fenced blocks from `position` on; one that is never closed ends with the text."""
    spans = []
    opened: re.Match[bytes] | None = None
    for line in _FENCE.finditer(data, position):
        mark = line.group(1)
        if opened is None:
            if mark.startswith(b"~") or b"`" not in line.group(2):
                opened = line
        elif mark.startswith(opened.group(1)) and not line.group(2).strip():
            spans.append((opened.start(), line.end()))
            opened = None
    if opened is not None:
        spans.append((opened.start(), len(data)))
    return spans
