"""`anchorline/status`: what works, what is recorded, what is warm."""

import time
from collections.abc import Iterator

from anchorline import __version__
from anchorline.cache.ledger import longest
from anchorline.limits import wording
from anchorline.limits.model import WindowState
from anchorline.live.gateway_client import GatewayClient
from anchorline.lsp import protocol
from anchorline.lsp.server import Server
from anchorline.lsp.session import EditorSession

MOST_WARM = 100


async def status(server: Server, _params: protocol.StatusParams) -> protocol.Status:
    """Returns the state of the server."""
    session = server.session
    store, recording = session.config.store, session.journal.recording
    policy, note = session.journal.policies.state
    now = time.time()
    warm = longest(entry for entry in session.journal.warm if entry.is_warm(now))
    return protocol.Status(
        version=__version__,
        engine=_engine(session),
        store=protocol.StoreState(recording.on, store.text, recording.problem),
        policy=protocol.PolicyState(policy.name, policy.version, note),
        warm=tuple(
            protocol.Warm(entry.provider, entry.model, entry.tokens, entry.ttl, int(entry.expires_at - now))
            for entry in sorted(warm, key=lambda entry: -entry.tokens)[:MOST_WARM]
        ),
        gateway=_gateway(session.gateway),
        windows=tuple(_windows(session.windows, now)),
        index=_index(session),
    )


def _windows(windows: tuple[WindowState, ...], now: float) -> Iterator[protocol.PlanWindow]:
    shown = wording.current(windows, now)
    for window, name in zip(shown, wording.names(shown), strict=True):
        yield protocol.PlanWindow(name, window.used, window.resets_at, wording.state(window, now))


def _gateway(gateway: GatewayClient) -> protocol.Gateway:
    if gateway.state != "running":
        return protocol.Gateway(gateway.state, gateway.reason)
    base = gateway.address
    return protocol.Gateway("running", "", f"{base}/anthropic", f"{base}/openai/v1", f"{base}/gemini")


def _index(session: EditorSession) -> protocol.Index:
    folder = session.grounding.of(None)
    if folder is not None:
        return protocol.Index(folder.state, folder.reason, folder.files)
    if not session.config.ground.enabled:
        return protocol.Index("off", "the workspace is not indexed (ground.enabled)")
    return protocol.Index("off", "no folder is open" if session.settings.trusted else "it is not trusted")


def _engine(session: EditorSession) -> protocol.Engine:
    model = session.model
    if model is None:
        return protocol.Engine("", "off", "the local model is switched off (engine.enabled)")
    state = model.status
    return protocol.Engine(state.model, state.state, state.reason, state.device)


async def show(server: Server, status: protocol.Status) -> None:
    """Shows the state in one line."""
    if status.store.problem:
        recording = f"not recording ({status.store.problem})"
    else:
        recording = "recording" if status.store.recording else "recording is off"
    engine, policy = status.engine, status.policy
    model = f"{engine.name} {engine.state}".strip() + (f" ({engine.reason})" if engine.reason else "")
    decider = policy.name if policy.name == "heuristic" else f"{policy.name} {policy.version}"
    if policy.note:
        decider += f" ({policy.note})"
    port = f" at port {server.session.config.gateway.port}" if status.gateway.state == "running" else ""
    gateway = "" if status.gateway.state == "off" else f", gateway {status.gateway.state}{port}"
    windows = "".join(f", {window.name} {window.used:.0f}% used" for window in status.windows)
    index = {"ready": f"{status.index.files} files indexed", "indexing": "indexing"}.get(
        status.index.state, f"no index ({status.index.reason})"
    )
    server.inform(
        f"Anchorline {status.version}: policy {decider}, local model {model}, {index}, {recording}, "
        f"{len(status.warm)} warm prefixes{gateway}{windows}."
    )
