"""What `anchorline doctor` says of the clients that are connected to the gateway."""

import msgspec

from anchorline.cli.check import Check
from anchorline.cli.connect import base
from anchorline.cli.gateway import Unusable
from anchorline.cli.top import state
from anchorline.config import Config
from anchorline.gateway import clients, first_party
from anchorline.gateway.metrics import GatewayState

ANY = "http://127.0.0.1:8917/any"
"""An address of a gateway's shape, whichever one it is."""


def examine(config: Config) -> list[Check]:
    """Look at each client whose settings name a gateway, this one or another."""
    found = [client for client in clients.clients(ANY).values() if _pointed(client)]
    if not found:
        return []
    try:
        address = base()
    except Unusable as error:
        return [Check(client.name, "error", str(error)) for client in found]
    try:
        running = state(f"{address}/status")
    except Unusable:
        running = None
    now = clients.clients(address)
    held = _held(running) if running is not None else []
    return [*(_client(now[client.name], config, running) for client in found), *held]


def _held(running: GatewayState) -> list[Check]:
    """Say what goes through the gateway unchanged, although its mode says otherwise."""
    asked = running.mode != "observe"
    return [
        Check("gateway", "warning" if asked else "ok", f"unchanged: {one.what} ({one.requests}): {one.why}")
        for one in running.held
    ]


def _pointed(client: clients.Client) -> bool:
    settings = clients.settings(client)
    return settings is not None and any(
        clients.ours(settings.get(path), value) for path, value in client.values.items()
    )


def _client(client: clients.Client, config: Config, running: GatewayState | None) -> Check:
    settings = clients.settings(client)
    if settings is None:
        return Check(client.name, "error", f"{client.file} can't be read any more")
    again = f"`anchorline connect {client.name} --write`"
    other = clients.hindrance(client)
    if other:
        return Check(client.name, "warning", f"does not use the gateway: {other}")
    named = ((settings.get(path), value) for path, value in client.values.items())
    if any(clients.ours(now, value) and now != value for now, value in named):
        message = f"{client.file} names another address than this gateway's"
        return Check(client.name, "error", message, f"{again} corrects it")
    if running is None:
        advice = f"start it (`anchorline gateway`), or `anchorline disconnect {client.name}`"
        return Check(
            client.name, "warning", "uses the gateway, which does not run: it gets no answers", advice
        )
    if any(settings.get(path) is not None for path in clients.FIRST_PARTY):
        seen = msgspec.structs.replace(
            config, gateway=msgspec.structs.replace(config.gateway, mode=running.mode)
        )
        reason = first_party.refusal(seen)
        if reason:
            message = f"takes the gateway for Anthropic's own address, but {reason}"
            return Check(client.name, "warning", message, f"{again} takes that back")
    unset = [path[-1] for path in client.defaults if settings.get(path) is None]
    if unset:
        return Check(
            client.name, "warning", f"uses the gateway without {', '.join(unset)}", f"{again} sets it"
        )
    return Check(client.name, "ok", f"uses the gateway, which runs in mode {running.mode}")
