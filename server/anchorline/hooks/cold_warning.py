"""`BeforeAgent` of Gemini CLI: says what a prompt costs after a pause in which its cache has likely expired.

It says so and holds nothing back: Google states no lifetime of its implicit cache, so whether it has expired is a
guess, and a prompt that a hook denies is discarded (Gemini CLI 0.61.0): its writer would have to type it again.
"""

import time
from pathlib import Path

from anchorline.figures import count, usd
from anchorline.hooks import session_file
from anchorline.hooks.cold_send import ago
from anchorline.hooks.environment import gemini_sessions, settings, targets
from anchorline.hooks.events import Answer, Event
from anchorline.prompt.source import lines, refused
from anchorline.route.pricing import Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.sessions.facts import Facts
from anchorline.sessions.gemini_cli import GeminiCli
from anchorline.sessions.request import RecordedRequest

MAX_BYTES = 64 << 20
"""A longer session is not looked at: the prompt waits for it."""


def gemini_cli(event: Event) -> Answer:
    """Returns a message for the first prompt after a pause; nothing for all others. Raises OSError and PromptError."""
    config = settings(event)
    file = session_file.named(event, gemini_sessions(event))
    if not config.hooks.block_usd or file is None:
        return ""
    request = last_request(file)
    said = message(request, targets(config), time.time(), config.hooks.block_usd) if request else ""
    return {"systemMessage": said} if said else ""


def last_request(file: Path) -> RecordedRequest | None:
    """Returns the newest request; None where there is none, or the conversation was summarised since."""
    if file.stat().st_size > MAX_BYTES:
        return None
    reader = GeminiCli(Facts(b"", names=False), file)
    for line in lines(file):
        refused(line, reader.take)
    if reader.is_compacted:
        return None
    return max(
        (request for request in reader.requests() if request.branch == 0 and request.chain == "main"),
        key=lambda request: request.sent_at,
        default=None,
    )


def message(request: RecordedRequest, targets: Targets, now: float, limit: float) -> str:
    """Returns what is said before the prompt after a request; nothing below `limit` USD, or while it is likely warm."""
    target = targets.find(request.model)
    lifetimes, prices = target.provider.lifetimes, Pricing(targets).prices(request.model)
    idle = now - max(request.first_at or 0.0, request.sent_at)
    if not lifetimes or isinstance(prices, Unpriced) or idle < lifetimes[0].seconds:
        return ""
    tokens = request.tokens
    if tokens < target.provider.minimum(target.id):
        return ""
    rates = prices.rates(now, tokens)
    cold, warm = tokens * rates.input, tokens * rates.read
    if cold - warm < limit:
        return ""
    return (
        f"Anchorline: this conversation's last request was {ago(idle)} ago. Google states no lifetime of its cache; "
        f"if it has expired, these {count(tokens)} tokens cost {usd(cold)}, and {usd(warm)} if not. "
        "/clear begins without them, /compress goes on with less."
    )
