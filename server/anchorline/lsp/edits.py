"""Text edits for the editor, from refinements, additions and splices."""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec
from lsprotocol import types

from anchorline.cache.markers import Splice, UnmarkableError, splices
from anchorline.lsp.documents import Document
from anchorline.plan import Addition, Edit, Plan, Refinement
from anchorline.prompt.model import Draft, Prompt
from anchorline.refine.context_lines import context_lines, insertion, with_additions

MARKED_FORMATS = ("anthropic", "openai-chat", "openai-responses")


def of_refinement(
    document: Document, draft: Draft, refinement: Refinement, base: int = 0
) -> list[types.TextEdit]:
    """Returns the edits that turn the draft into its refinement.

    `base` is the byte of the document at which the source of the prompt starts.
    A draft inside a JSON string is replaced as a whole; elsewhere only what changes, so that the cursor and
    the marks of the editor stay where they are.
    """
    if refinement.text is None:
        return []
    return _of_draft(document, draft, refinement.edits, refinement.text, base)


def of_structure(
    document: Document, draft: Draft, refinement: Refinement, base: int = 0
) -> list[types.TextEdit]:
    """Returns the edits that order the draft's sentences under headings; none where that is not proposed."""
    structure = refinement.structure
    if structure is None:
        return []
    text = draft.text[: structure.start] + structure.text + draft.text[structure.end :]
    return _of_draft(document, draft, [structure], text, base)


def of_additions(
    document: Document, draft: Draft, additions: Sequence[Addition], base: int = 0
) -> list[types.TextEdit]:
    """Returns the edits that add lines to the draft as it stands now; none where it has them."""
    text = with_additions(draft.text, additions)
    if text == draft.text:
        return []
    by_position = groupby(_insertions(draft.text, additions), attrgetter("start"))
    changes = [Edit(start, start, "".join(edit.text for edit in same), "") for start, same in by_position]
    return _of_draft(document, draft, changes, text, base)


def beside_refinement(
    document: Document, draft: Draft, refinement: Refinement, base: int = 0
) -> list[types.TextEdit]:
    """Returns an edit for each of a refinement's additions, which may be made with those of `of_refinement` or alone.

    In the order in which the lines stand; none where the refinement replaces the draft as a whole.
    """
    refined = draft.text if refinement.text is None else refinement.text
    data = document.data[base + draft.start : base + draft.end]
    if draft.encoded or data != draft.text.encode("utf-8", "replace"):
        return []
    changes = [
        msgspec.structs.replace(edit, start=before, end=before)
        for edit in _insertions(refined, refinement.additions)
        if (before := _before(refinement.edits, edit.start)) is not None
    ]
    return _of_draft(document, draft, changes, "", base)


def _insertions(text: str, additions: Sequence[Addition]) -> list[Edit]:
    """Returns an edit of a text for each line that is added to it, all to be made together, in the lines' order."""
    added = {addition.text: insertion(text, addition) for addition in additions}
    edits = [
        edit
        for line in context_lines(with_additions(text, additions))
        if (edit := added.get(line)) is not None
    ]
    if context_lines(text):
        return edits
    newline = "\r\n" if "\r\n" in text else "\n"
    following = (msgspec.structs.replace(edit, text=edit.text.removeprefix(newline)) for edit in edits[1:])
    return [*edits[:1], *following]


def _before(changes: Iterable[Edit], position: int) -> int | None:
    """Returns where a position of a changed text was before; None where it is within what was put there."""
    shift = 0
    for change in sorted(changes, key=lambda change: change.start):
        start = change.start + shift
        if position <= start:
            break
        if position < start + len(change.text):
            return None
        shift += len(change.text) - (change.end - change.start)
    return position - shift


def _of_draft(
    document: Document, draft: Draft, changes: Iterable[Edit], text: str, base: int
) -> list[types.TextEdit]:
    start, end = base + draft.start, base + draft.end
    if draft.encoded:
        ascii_only = b"\\u" in document.data[start:end]
        literal = json.dumps(text, ensure_ascii=ascii_only)
        return [types.TextEdit(document.range(start, end), literal)]
    if document.data[start:end] != draft.text.encode("utf-8", "replace"):
        return [types.TextEdit(document.range(start, end), text)]
    line_end = "\r\n" if "\r\n" in draft.text else "\n"
    return [
        types.TextEdit(
            document.range(
                start + len(draft.text[: edit.start].encode("utf-8")),
                start + len(draft.text[: edit.end].encode("utf-8")),
            ),
            edit.text if line_end == "\n" else edit.text.replace("\r\n", "\n").replace("\n", line_end),
        )
        for edit in changes
    ]


def of_splices(document: Document, splices: Iterable[Splice]) -> list[types.TextEdit]:
    """Returns the edits that make the splices."""
    return [
        types.TextEdit(
            document.range(splice.offset, splice.offset + len(splice.removed)),
            splice.inserted.decode("utf-8", "replace"),
        )
        for splice in splices
    ]


def splices_of_plan(prompt: Prompt, plan: Plan) -> tuple[Splice, ...]:
    """Returns the splices that make a request body carry the plan's anchors; none where it has them."""
    if prompt.format not in MARKED_FORMATS or all(a.origin == "client" for a in plan.cache.anchors):
        return ()
    try:
        return splices(prompt, plan.cache.anchors)
    except UnmarkableError:
        return ()


def workspace_edit(
    document: Document, edits: Sequence[types.TextEdit], capabilities: types.ClientCapabilities
) -> types.WorkspaceEdit:
    """Returns an edit of one document, tied to its version where the client can check it."""
    workspace = capabilities.workspace
    if workspace and workspace.workspace_edit and workspace.workspace_edit.document_changes:
        identifier = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, edits)])
    return types.WorkspaceEdit(changes={document.uri: edits})
