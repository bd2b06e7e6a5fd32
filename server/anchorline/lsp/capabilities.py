"""The methods that the server offers in its answer to `initialize`, with their options.

`anchorline.lsp.setup` binds each to its handler once that answer is out.
"""

from typing import Any

from lsprotocol import types

from anchorline.lsp import protocol

DIAGNOSTICS = types.DiagnosticOptions(
    identifier="anchorline", inter_file_dependencies=False, workspace_diagnostics=False
)
CODE_ACTIONS = types.CodeActionOptions(
    code_action_kinds=[types.CodeActionKind.QuickFix, types.CodeActionKind.Refactor],
    resolve_provider=True,
)

FEATURES: dict[str, Any] = {
    types.INITIALIZED: None,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: None,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: None,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: None,
    types.TEXT_DOCUMENT_DID_OPEN: None,
    types.TEXT_DOCUMENT_DID_CHANGE: None,
    types.TEXT_DOCUMENT_DID_SAVE: types.SaveOptions(include_text=False),
    types.TEXT_DOCUMENT_DID_CLOSE: None,
    types.TEXT_DOCUMENT_DIAGNOSTIC: DIAGNOSTICS,
    types.TEXT_DOCUMENT_CODE_ACTION: CODE_ACTIONS,
    types.CODE_ACTION_RESOLVE: None,
    types.TEXT_DOCUMENT_HOVER: None,
    types.TEXT_DOCUMENT_INLAY_HINT: None,
    types.TEXT_DOCUMENT_CODE_LENS: None,
    types.WORKSPACE_TEXT_DOCUMENT_CONTENT: None,
    **dict.fromkeys(protocol.PARAMS),
}
"""Methods in the protocol's order, Anchorline's own requests last."""
