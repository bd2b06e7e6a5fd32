"""`anchorline/explain`: a plan in words."""

import msgspec
from pygls.exceptions import JsonRpcInvalidParams

from anchorline import explain as words
from anchorline.live.plans import Remembered
from anchorline.live.recording import NotRecordedError
from anchorline.lsp import planning
from anchorline.lsp.protocol import ExplainParams, Explanation, TextDocument
from anchorline.lsp.server import Server
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.plan import Plan


async def explain(server: Server, params: ExplainParams) -> Explanation:
    """Explains a plan of this session, or one that was recorded before."""
    explanation = await _explained(server, params)
    if not params.plain:
        return explanation
    text = await server.session.plain(explanation.markdown)
    return msgspec.structs.replace(explanation, text=text)


async def _explained(server: Server, params: ExplainParams) -> Explanation:
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


async def _of_document(server: Server, identifier: TextDocument) -> Remembered:
    """Returns the plan that hover and code lens show: nothing is planned anew, nothing is recorded."""
    session = server.session
    analysis = await session.analysis(planning.open_document(session, identifier))
    if analysis is None or analysis.plan is None or analysis.prompt is None:
        raise RequestFailed("this document is no prompt")
    return session.remember(analysis.plan, analysis.prompt)


def _remembered(remembered: Remembered) -> Explanation:
    plan, prompt = remembered.plan, remembered.prompt
    text = words.line(plan) if prompt is None else words.markdown(plan, prompt)
    if remembered.outcome is not None:
        text = f"{text.rstrip()}\n\n{words.happened(plan, remembered.outcome)}\n"
    return _explanation(text, plan)


def _explanation(markdown: str, plan: Plan) -> Explanation:
    return Explanation(markdown, msgspec.to_builtins(plan))


async def show(server: Server, explanation: Explanation) -> None:
    """Shows the explanation; a message has no markup."""
    server.inform(await server.session.plain(explanation.markdown))
