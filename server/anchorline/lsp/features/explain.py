"""`anchorline/explain` and the command `anchorline.explain`: a plan in words."""

from typing import TYPE_CHECKING

from pygls.exceptions import JsonRpcInvalidParams

from anchorline.lsp.jsonrpc import RequestFailed
from anchorline.lsp.protocol import ExplainParams, Explanation

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def explain(server: "Server", params: ExplainParams) -> Explanation:
    """Explain a plan of this session."""
    from anchorline import explain as words  # noqa: PLC0415  (after `initialize` is answered)

    plans = server.session.plans
    remembered = plans.get(params.plan_id) if params.plan_id is not None else plans.last
    if remembered is None:
        if params.plan_id is not None:
            raise JsonRpcInvalidParams("this session has no plan with this id, or it is too old")
        raise RequestFailed("nothing has been planned yet")
    if remembered.prompt is None:
        return Explanation(words.line(remembered.plan))
    return Explanation(words.markdown(remembered.plan, remembered.prompt))


def command(server: "Server", params: ExplainParams) -> Explanation:
    """As `explain`, and show it."""
    explanation = explain(server, params)
    server.inform(explanation.markdown)
    return explanation
