"""Text edits for the editor, from refinements and splices."""

import json
from collections.abc import Iterable, Sequence

from lsprotocol import types

from anchorline.cache.markers import Splice, UnmarkableError, splices
from anchorline.lsp.documents import Document
from anchorline.plan import Plan, Refinement
from anchorline.prompt.model import Draft, Prompt

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
    start, end = base + draft.start, base + draft.end
    if draft.encoded:
        ascii_only = b"\\u" in document.data[start:end]
        literal = json.dumps(refinement.text, ensure_ascii=ascii_only)
        return [types.TextEdit(document.range(start, end), literal)]
    if document.data[start:end] != draft.text.encode("utf-8", "replace"):
        return [types.TextEdit(document.range(start, end), refinement.text)]
    line_end = "\r\n" if "\r\n" in draft.text else "\n"
    return [
        types.TextEdit(
            document.range(
                start + len(draft.text[: edit.start].encode("utf-8")),
                start + len(draft.text[: edit.end].encode("utf-8")),
            ),
            edit.text if line_end == "\n" else edit.text.replace("\r\n", "\n").replace("\n", line_end),
        )
        for edit in refinement.edits
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
