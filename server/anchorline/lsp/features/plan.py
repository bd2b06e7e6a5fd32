"""`anchorline/plan`: the plan of a document, of a range of one, or of a request body."""

from anchorline import explain
from anchorline.lsp import planning, protocol
from anchorline.lsp.server import Server
from anchorline.lsp.wire.messages import RequestFailed
from anchorline.plan import Plan


async def plan(server: Server, params: protocol.PlanParams) -> Plan:
    """Returns the plan, and keeps it for its outcome. Raises RequestFailed where there is nothing to plan."""
    planned = await planning.decide(server.session, planning.resolve(server.session, params))
    if not planned.prompt.segments:
        raise RequestFailed(explain.nothing(planned.prompt))
    planning.keep(server.session, planned)
    return planned.plan


async def show(server: Server, plan: Plan) -> None:
    """Shows the plan in one line."""
    server.inform(explain.line(plan, server.session.share(plan)))
