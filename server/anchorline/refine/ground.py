"""Grounding: "this", "the selection", "this error" become what the editor knows them to be.

Every word that is put in is one of the editor's facts or glue ("in", "the code at"). Where a needed fact is
missing or ambiguous nothing is put in; the hints ask for it. Facts come from a workspace that may be hostile,
so a path or a name with control characters, backticks or absurd length is not used.
"""

import re

from anchorline.plan import Question
from anchorline.refine import names
from anchorline.refine.mask import Masked
from anchorline.refine.rewrite import Change
from anchorline.surroundings import Diagnostic, Surroundings

LONGEST_FACT = 240
HEAD = 300
"""Characters in which "this" still points at the editor; further on it points at the text before it."""

NOUNS = (
    "function|method|class|code|block|snippet|module|lines?|component|query|loop|script|type|struct|hook|handler|endpoint"
    "|helper|section|part|selection|fragment|implementation|logic|interface|test"
)
_VERBS = (
    "fix|debug|explain|refactor|simplify|optimi[sz]e|improve|test|review|rewrite|document|check|clean up"
    "|speed up|convert|rename|extract|split|move|delete|remove|change|update|describe|understand|format"
    "|implement|finish|complete|port|inline|address|look at|read|run|use|replace|revert|handle|audit"
    "|cover|reduce|shorten|rework|tidy|restructure|moderni[sz]e|validate|mock|wrap|translate|see|summari[sz]e"
)
_AFTER_OBJECT = (
    r"(?=\s*(?:[.!?,]|\Z|\n|(?:to|so|and|for|using|with|without|by|because|please|when|in a|in an|into"
    r"|as|now|asap|up|properly|again"
    r"|but|or|step|better|faster)\b))"
)
_OBJECT = re.compile(
    rf"\b(?:{_VERBS}) (?:up )?(?P<object>this|it){_AFTER_OBJECT}"
    rf"|[\w\x00] (?:for|to|in|of|from|at|about|on|into|with) (?P<complement>this){_AFTER_OBJECT}"
    r"|\b(?:what|why|how) (?:does|is|did|do) (?P<subject>this)(?= (?:do|work|fail|mean|return|crash"
    r"|break|throw|need|take|raise"
    r"|slow|broken|failing|happen)\b)"
    r"|(?:\A|[.!?]\s)(?P<start>This)(?= (?:is broken|is wrong|is slow|is too slow|fails|crashes|breaks"
    r"|throws|raises|hangs"
    r"|does(?:n['\u2019]t| not) work))",
    re.IGNORECASE,
)
"""A bare "this" or "it" that is the object of a verb, or a bare "this" that is a subject."""
_NOUN = re.compile(
    rf"\b(?:this|the (?:current|selected|highlighted)) (?P<noun>{NOUNS})\b(?!\s*[:(\x00])"
    r"|\bthe (?P<selection>selection)\b(?!\s*[:(\x00])",
    re.IGNORECASE,
)
_FILE = re.compile(r"\b(?:this|the current|the active|the open) file\b(?!\s*[:(\x00])", re.IGNORECASE)
_ERROR = re.compile(
    r"\b(?:this|the|that|these|the current) (?:type |compiler? |lint(?:er|ing)? "
    r"|build )?(?P<noun>errors?|warnings?|diagnostics?"
    r"|exceptions?)\b(?=\s*(?:[.!?,]|\Z|\n|(?:here|please|now|and|so|in this|for me)\b))",
    re.IGNORECASE,
)


def usable(fact: str | None) -> bool:
    """Says whether a fact can be put into a draft as inline code."""
    return (
        bool(fact)
        and fact is not None
        and len(fact) <= LONGEST_FACT
        and fact.isprintable()
        and "`" not in fact
    )


def facts(surroundings: Surroundings) -> frozenset[str]:
    """Returns the texts that grounding may bring in, without their backticks."""
    texts: list[str | None] = [surroundings.active_file, surroundings.symbol, _location(surroundings)]
    if surroundings.selection is not None:
        texts.append(surroundings.selection.path)
    texts += [f"{definition.path}:{definition.line}" for definition in surroundings.definitions]
    for diagnostic in surroundings.diagnostics:
        texts += [_message(diagnostic), f"{diagnostic.path}:{diagnostic.line}"]
    return frozenset(fact for fact in texts if fact is not None and usable(fact))


def described(surroundings: Surroundings) -> str:
    """Returns what is selected and the problems there in one line, for a language model; empty where there is none."""
    descriptions = [
        _reference(surroundings) or "",
        *(_message(each) for each in surroundings.diagnostics[:3]),
    ]
    return "; ".join(fact for fact in descriptions if fact)


def ground(prose: str, named: bool, surroundings: Surroundings) -> tuple[list[Change], tuple[Question, ...]]:
    """Returns the changes that ground a masked view, and a question where the editor knows several answers.

    `named`: the draft names its target itself (an entity), so a bare "this" may mean that one and stays.
    """
    head = prose[:HEAD]
    low = head.lower()
    if not any(sign in low for sign in ("this", " it", "the ", "these", "that ")):
        return [], ()
    changes: list[Change] = []
    questions: tuple[Question, ...] = ()
    error = _ERROR.search(head)
    if error is not None and surroundings.diagnostics and not named:
        if len(surroundings.diagnostics) == 1:
            change = _diagnostic(error, surroundings.diagnostics[0])
            return ([change], ()) if change is not None else ([], ())
        if not error["noun"].endswith("s"):
            questions = (_which(surroundings.diagnostics),)
    reference = _reference(surroundings)
    noun = _NOUN.search(head)
    if noun is not None and reference is not None and not named:
        changes.append(
            _after(noun.end(), reference.removeprefix("the code at "), "the selection in the editor")
        )
    elif not named and reference is not None and (change := _bare(head, reference)) is not None:
        changes.append(change)
    file = _FILE.search(head)
    if (
        file is not None
        and not changes
        and not named
        and surroundings.active_file
        and usable(surroundings.active_file)
    ):
        changes.append(_after(file.end(), f"`{surroundings.active_file}`", "the file in the editor"))
    return changes, questions


def locate(draft: Masked, surroundings: Surroundings) -> tuple[list[Change], tuple[Question, ...]]:
    """Returns the change that says where the one symbol that a draft names is defined, or ask which one is meant.

    A draft that names a file or several symbols knows its way, and so does one with a selection.
    """
    if not surroundings.definitions or surroundings.selection is not None:
        return [], ()
    named = names.symbols(draft)
    if len({each.name for each in named}) != 1 or names.has_place(draft):
        return [], ()
    symbol = named[0]
    definitions = [each for each in surroundings.definitions if each.name == symbol.name]
    places = [f"{each.path}:{each.line}" for each in definitions]
    if len(definitions) == 1 and usable(places[0]) and symbol.entity.start < HEAD:
        end = symbol.entity.end
        reason = f"says where `{symbol.name}` is defined"
        return [Change(end, end, f" (`{places[0]}`)", reason, "grounding")], ()
    if len(definitions) > 1:
        shown = ", ".join(places[:3]) + (f", {len(places) - 3} more" if len(places) > 3 else "")
        return [], (Question("symbol", f"Which `{symbol.name}` is meant? {shown}"),)
    return [], ()


def _bare(head: str, reference: str) -> Change | None:
    match = _OBJECT.search(head)
    if match is None or match.lastgroup is None:
        return None
    start, end = match.span(match.lastgroup)
    if "\n\n" in head[:start] or re.search(r"[.!?:]\s", head[:start]):
        return None
    if head[start].isupper() and reference.startswith("the "):
        reference = "T" + reference[1:]
    reason = f"names what \u201c{head[start:end]}\u201d is in the editor"
    return Change(start, end, reference, reason, "grounding")


def _after(position: int, reference: str, reason: str) -> Change:
    return Change(position, position, f" ({reference})", f"names {reason}", "grounding")


def _location(surroundings: Surroundings) -> str | None:
    selection = surroundings.selection
    if selection is None:
        return None
    first, last = selection.start_line, selection.end_line
    return f"{selection.path}:{first}" if last <= first else f"{selection.path}:{first}-{last}"


def _reference(surroundings: Surroundings) -> str | None:
    """Returns how to name what is selected, or else the symbol around the cursor."""
    location, symbol = _location(surroundings), surroundings.symbol
    symbol = symbol if symbol is not None and usable(symbol) else None
    if location is not None:
        if not usable(location):
            return None
        return f"`{symbol}` in `{location}`" if symbol else f"the code at `{location}`"
    if symbol is None:
        return None
    file = surroundings.active_file
    return f"`{symbol}` in `{file}`" if file is not None and usable(file) else f"`{symbol}`"


def _message(diagnostic: Diagnostic) -> str:
    return " ".join(diagnostic.message.split())


def _diagnostic(error: re.Match[str], diagnostic: Diagnostic) -> Change | None:
    message, location = _message(diagnostic), f"{diagnostic.path}:{diagnostic.line}"
    if not usable(location):
        return None
    text = f" (`{message}` at `{location}`)" if usable(message) else f" (at `{location}`)"
    return Change(error.end(), error.end(), text, "names the problem that the editor reports", "grounding")


def _which(diagnostics: tuple[Diagnostic, ...]) -> Question:
    shown = "; ".join(
        f"{_message(diagnostic)[:80]} ({diagnostic.path}:{diagnostic.line})" for diagnostic in diagnostics[:3]
    )
    more = f"; {len(diagnostics) - 3} more" if len(diagnostics) > 3 else ""
    return Question("diagnostic", f"Which problem is meant? {shown}{more}")
