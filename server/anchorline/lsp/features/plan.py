"""`anchorline/plan`: the plan of a document, of a range of one, or of a request body."""

from anchorline import explain
from anchorline.lsp import planning, protocol
from anchorline.lsp.server import Server
from anchorline.plan import Plan


async def plan(server: Server, params: protocol.PlanParams) -> Plan:
    """Returns the plan, and keeps it for its outcome."""
    return (await planning.plan(server.session, planning.resolve(server.session, params))).plan


async def show(server: Server, plan: Plan) -> None:
    """Shows the plan in one line."""
    server.inform(explain.line(plan))
