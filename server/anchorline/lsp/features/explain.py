"""`anchorline/explain` and the command `anchorline.explain`: a plan in words."""

from typing import TYPE_CHECKING

from pygls.exceptions import JsonRpcInvalidParams

from anchorline.live.recording import NotRecordedError
from anchorline.lsp.jsonrpc import RequestFailed
from anchorline.lsp.protocol import ExplainParams, Explanation

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


async def explain(server: "Server", params: ExplainParams) -> Explanation:
    """Explain a plan of this session, or one that was recorded before."""
    from anchorline import explain as words  # noqa: PLC0415  (after `initialize` is answered)

    plans = server.session.plans
    remembered = plans.get(params.plan_id) if params.plan_id is not None else plans.last
    if remembered is not None:
        text = (
            words.line(remembered.plan)
            if remembered.prompt is None
            else words.markdown(remembered.plan, remembered.prompt)
        )
        if remembered.outcome is not None:
            text = f"{text.rstrip()}\n\n{words.happened(remembered.plan, remembered.outcome)}\n"
        return Explanation(text)
    try:
        plan = await server.session.recording.recorded(params.plan_id)
    except NotRecordedError as error:
        raise RequestFailed(f"the plan can't be read: {error}") from None
    if plan is None:
        if params.plan_id is not None:
            raise JsonRpcInvalidParams("neither this session nor the database has a plan with this id")
        raise RequestFailed("nothing has been planned yet")
    if not plan.route.reason:
        return Explanation(f'{words.line(plan)}\n\nIts reasons were not kept (`store.text = "off"`).\n')
    return Explanation(words.markdown(plan))


async def command(server: "Server", params: ExplainParams) -> Explanation:
    """As `explain`, and show it."""
    explanation = await explain(server, params)
    server.inform(explanation.markdown)
    return explanation
