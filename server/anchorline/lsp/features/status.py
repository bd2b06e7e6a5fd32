"""`anchorline/status` and the command `anchorline.status`: what works, what is recorded, what is warm."""

import time
from typing import TYPE_CHECKING

from anchorline import __version__
from anchorline.cache.ledger import longest
from anchorline.lsp import protocol

if TYPE_CHECKING:
    from anchorline.lsp.server import Server


def status(server: "Server", _params: protocol.StatusParams) -> protocol.Status:
    """Return the state of the server."""
    session = server.session
    store = session.config.store
    policy, words = session.journal.policies.state
    now = time.time()
    warm = longest(entry for entry in session.journal.warm if entry.is_warm(now))
    return protocol.Status(
        version=__version__,
        engine=engine(server),
        store=protocol.StoreState(
            session.journal.recording.on, store.text, session.journal.recording.problem
        ),
        policy=protocol.PolicyState(policy.name, policy.version, words),
        warm=tuple(
            protocol.Warm(entry.provider, entry.model, entry.tokens, entry.ttl, int(entry.expires_at - now))
            for entry in sorted(warm, key=lambda entry: -entry.tokens)[:100]
        ),
        gateway=gateway(server),
    )


def gateway(server: "Server") -> protocol.Gateway:
    """Return where the gateway stands, and where it is."""
    known = server.session.gateway
    if known.state != "running":
        return protocol.Gateway(known.state, known.reason)
    return protocol.Gateway("running", "", f"{known.address}/anthropic", f"{known.address}/openai/v1")


def engine(server: "Server") -> protocol.Engine:
    """Return where the local model stands."""
    model = server.session.model
    if model is None:
        return protocol.Engine("", "off", "the local model is switched off (engine.enabled)")
    state = model.status
    return protocol.Engine(state.model, state.state, state.reason, state.device)


def command(server: "Server", params: protocol.StatusParams) -> protocol.Status:
    """As `status`, and show it in one line."""
    state = status(server, params)
    if state.store.problem:
        recording = f"not recording ({state.store.problem})"
    else:
        recording = "recording" if state.store.recording else "recording is off"
    warm = f"{len(state.warm)} warm prefixes"
    model = f"{state.engine.name} {state.engine.state}".strip() + (
        f" ({state.engine.reason})" if state.engine.reason else ""
    )
    policy = (
        f"{state.policy.name} {state.policy.version}" if state.policy.name != "heuristic" else "heuristic"
    )
    if state.policy.note:
        policy += f" ({state.policy.note})"
    at = f" at port {server.session.config.gateway.port}" if state.gateway.state == "running" else ""
    gateway_ = "" if state.gateway.state == "off" else f", gateway {state.gateway.state}{at}"
    server.inform(
        f"Anchorline {state.version}: policy {policy}, local model {model}, {recording}, {warm}{gateway_}."
    )
    return state
