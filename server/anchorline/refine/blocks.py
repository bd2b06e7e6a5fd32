"""The lines of a draft that are not prose: front matter, fences, doctests, quotations, pasted code and logs.

One pass over the lines, constant work for each. What looks like code, a diff, a table or a log is left alone
as a whole: a wrong "pasted" only means a missed edit, a wrong "prose" could damage somebody's code.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

INDENT = ("    ", "\t")
CODE_ENDS = (";", "{", "}", "):", "=>", "->", "\\")


class DraftBlock(NamedTuple):
    """Whole lines `start:end` of one kind; `end` is before the last line's newline."""

    kind: str
    start: int
    end: int


_LIST_ITEM = re.compile(r"[ \t]*+(?:[-*+•]|\d{1,3}[.)])[ \t]")
_PASTED = re.compile(
    r"diff --git |index [0-9a-f]{7}|@@ |(?:---|\+\+\+) \S|[+-](?![+\- \t])\S*+[ \t]*+[=({;]|\+ |\|"
    r"|\$ \S|[#%\u276f➜] ?\./|\[[^\]\n]{3,60}\] ?[~/$]"
    r"|\[?\d{4}-\d\d-\d\d[T ]\d\d:|\[?\d\d:\d\d:\d\d|(?:TRACE|DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL)[ :\]]"
    r"|time=|Traceback \(|  File \"|at \S+\(|\w*(?:Error|Exception|Warning): |={3,}|-{3,}|\*{3,}"
    r"|(?:def|class|fn|func|function|interface|struct|enum|impl|trait) \w+[^a-z]*[(:{<]"
    r"|from [\w.]+ import [\w{*(]|import [\w.{*]+(?:$|;| as \w| from )|#include\b"
    r"|(?:const|let|var) \w+ ?[:=]"
    r"|(?:public|private|protected|static|async|export|package|return) [^.\n]*[;{(]|@\w+(?:\(|$)"
    r"|[\w.\[\]]+ ?(?:=|:=|\+=|==) \S|</?\w|[}\])]+[;,]?$|\w+\([^()\n]*\)[;:{]?$"
)
"""The beginning of a line of code, of a diff, a log, a trace or a shell session."""
_NO_LETTER = re.compile(r"[\W\d_]++")
_DIFF_START = re.compile(r"diff --git |@@ -\d|--- (?:a/|/dev/null)")
_FENCE = re.compile(r"[ \t]*+(?:[-*+>]|\d{1,3}[.)])?+[ \t]*+(`{3,}|~{3,})([^\n]*)")


def blocks(text: str) -> list[DraftBlock]:
    """Returns the blocks of `text` that are not prose, in order, neighbours of one kind joined."""
    regions: list[DraftBlock] = []
    for kind, start, end in _walk(text):
        last = regions[-1] if regions else None
        joins = last is not None and last.kind == kind and start == last.end + 1
        if last is not None and joins and kind in ("pasted", "quote", "doctest"):
            regions[-1] = DraftBlock(kind, last.start, end)
        else:
            regions.append(DraftBlock(kind, start, end))
    return regions


def _walk(text: str) -> Iterator[tuple[str, int, int]]:
    size = len(text)
    position = 0
    if text.startswith("---") and (end := _front_matter(text)):
        yield "front_matter", 0, end
        position = end + 1
    in_list = in_diff = in_doctest = False
    last_comment: int | None = None
    diff_start, list_item, pasted = _DIFF_START.match, _LIST_ITEM.match, _PASTED.match
    while position < size:
        end = text.find("\n", position)
        if end < 0:
            end = size
        line = text[position:end]
        start, position = position, end + 1
        bare = line.strip()
        if not bare:
            in_diff = in_doctest = False
            continue
        first = bare[0]
        if first in "`~-*+>0123456789" and (fence := _opening(line)):
            end = _closing(text, fence, end)
            yield "fence", start, end
            position = end + 1
            in_diff = in_doctest = False
        elif bare.startswith("<!--"):
            last_comment = text.rfind("-->") if last_comment is None else last_comment
            if last_comment > start:
                closing = text.find("\n", text.find("-->", start))
                end = size if closing < 0 else closing
            yield "tag", start, end
            position = end + 1
        elif bare.startswith(">>> ") or (in_doctest and not bare.startswith(('"""', "'''"))):
            in_doctest = True
            yield "doctest", start, end
        elif first == ">":
            yield "quote", start, end
        elif in_diff or (first in "d@-" and diff_start(line)):
            in_diff = True
            yield "pasted", start, end
        elif first in "-*+\u20220123456789" and list_item(line) and (in_list or not line.startswith(INDENT)):
            in_list = True
            if _symbols(bare):
                yield "pasted", start, end
        elif line.startswith(INDENT) or bare.endswith(CODE_ENDS) or pasted(line) or _symbols(bare):
            yield "pasted", start, end
        else:
            in_list = in_list and line[0] in " \t"


def _symbols(bare: str) -> bool:
    """Says whether most of a line are neither letters nor spaces, as in code, tables, rulers and dumps."""
    if len(bare) < 6 or (bare[0].isalpha() and (bare[-1].isalpha() or bare[-1] in ".,:!?")):
        return False
    letters = len(_NO_LETTER.sub("", bare)) + bare.count(" ")
    return letters * 2 < len(bare)


def _front_matter(text: str) -> int:
    """Returns where the YAML front matter at the beginning ends (before the newline), or 0."""
    if text[3:4] not in ("\n", "\r"):
        return 0
    match = re.compile(r"^---[ \t\r]*$", re.MULTILINE).search(text, 4)
    return match.end() if match else 0


def _opening(line: str) -> str | None:
    match = _FENCE.match(line)
    if match is None or (match[1][0] == "`" and "`" in match[2]):
        return None
    return match[1]


def _closing(text: str, fence: str, position: int) -> int:
    """Returns the end of the fence opened before `position`: of its closing line, else of the text."""
    size = len(text)
    while position < size:
        start = position + 1
        position = text.find("\n", start)
        if position < 0:
            position = size
        bare = text[start:position].strip()
        if bare.startswith(fence) and not bare.strip(fence[0]):
            return position
    return size
