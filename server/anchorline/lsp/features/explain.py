"""`anchorline/explain` and the command `anchorline.explain`: a plan in words."""

from typing import TYPE_CHECKING

import msgspec
from pygls.exceptions import JsonRpcContentModified, JsonRpcInvalidParams

from anchorline.live.recording import NotRecordedError
from anchorline.lsp.protocol import ExplainParams, Explanation, TextDocument
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.plan import Plan

if TYPE_CHECKING:
    from anchorline.live.plans import Remembered
    from anchorline.lsp.server import Server


async def explain(server: "Server", params: ExplainParams) -> Explanation:
    """Explain a plan of this session, or one that was recorded before."""
    from anchorline import explain as words  # noqa: PLC0415  (after `initialize` is answered)

    if params.text_document is not None:
        return _remembered(await _of_document(server, params.text_document))
    plans = server.session.journal.plans
    remembered = plans.get(params.plan_id) if params.plan_id is not None else plans.last
    if remembered is not None:
        return _remembered(remembered)
    try:
        plan = await server.session.journal.recording.recorded(params.plan_id)
    except NotRecordedError as error:
        raise RequestFailed(f"the plan can't be read: {error}") from None
    if plan is None:
        if params.plan_id is not None:
            raise JsonRpcInvalidParams("neither this session nor the database has a plan with this id")
        raise RequestFailed("nothing has been planned yet")
    if not plan.route.reason:
        return _explanation(
            f'{words.line(plan)}\n\nIts reasons were not kept (`store.text = "off"`).\n', plan
        )
    return _explanation(words.markdown(plan), plan)


async def _of_document(server: "Server", asked: TextDocument) -> "Remembered":
    """Return the plan that hover and code lens show: nothing is planned anew, nothing is recorded."""
    document = server.session.documents.get(asked.uri)
    if document is None:
        raise JsonRpcInvalidParams("textDocument is not open")
    if asked.version is not None and asked.version != document.version:
        raise JsonRpcContentModified("the document has another version")
    analysis = await server.session.analysis(document)
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        raise RequestFailed("this document is no prompt")
    return server.session.remember(analysis.plan, analysis.prompt)


def _remembered(remembered: "Remembered") -> Explanation:
    from anchorline import explain as words  # noqa: PLC0415  (after `initialize` is answered)

    plan, prompt = remembered.plan, remembered.prompt
    text = words.line(plan) if prompt is None else words.markdown(plan, prompt)
    if remembered.outcome is not None:
        text = f"{text.rstrip()}\n\n{words.happened(plan, remembered.outcome)}\n"
    return _explanation(text, plan)


def _explanation(markdown: str, plan: Plan) -> Explanation:
    return Explanation(markdown, msgspec.to_builtins(plan))


async def command(server: "Server", params: ExplainParams) -> Explanation:
    """As `explain`, and show it."""
    explanation = await explain(server, params)
    server.inform(explanation.markdown)
    return explanation
