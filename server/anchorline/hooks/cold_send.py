"""Whether the next prompt of a conversation finds its cache expired, and what writing it anew costs."""

import msgspec

from anchorline.figures import count, usd
from anchorline.hooks.last_request import LastRequest
from anchorline.outcome import Usage
from anchorline.route.pricing import Pricing, Unpriced
from anchorline.route.target import Targets


class ColdSend(msgspec.Struct, frozen=True):
    """A prompt whose prefix expired: `tokens` are written anew for `usd`; read from the cache they cost `read_usd`.

    `expired_s` is how long ago that was, in seconds.
    """

    tokens: int
    usd: float
    read_usd: float
    expired_s: float


class PrefixPrice(msgspec.Struct, frozen=True):
    """What a prefix costs, in USD: to `write` it, and to `read` it."""

    write: float
    read: float


def prefix_price(
    model: str, tokens: int, ttl: str, usage: Usage, targets: Targets, now: float
) -> PrefixPrice | None:
    """Returns the price of a prefix of so many tokens, in the speed, tier and region of `usage`; None without one."""
    prices = Pricing(targets).prices(model)
    if isinstance(prices, Unpriced):
        return None
    times = prices.times(usage)
    if isinstance(times, Unpriced):
        return None
    rates = prices.rates(now, tokens)
    write = rates.write_1h if ttl == "1h" else rates.write
    return PrefixPrice(tokens * write * times, tokens * rates.read * times)


def cold_send(request: LastRequest, targets: Targets, now: float) -> ColdSend | None:
    """Returns what the prompt after a request costs; None where its cache is warm, or its price is not known."""
    expires_at = request.expires_at(targets)
    if expires_at is None or now < expires_at:
        return None
    price = prefix_price(request.model, request.cached, request.ttl, request.usage, targets, now)
    if price is None:
        return None
    return ColdSend(request.cached, price.write, price.read, now - expires_at)


def message(send: ColdSend, share: str = "") -> str:
    """Returns what a developer is told who is about to send it; `share` is what that takes of a plan's window."""
    price = f"{usd(send.usd)}, {share}" if share else usd(send.usd)
    return (
        f"Anchorline: this conversation's cache expired {ago(send.expired_s)} ago. Sending now writes "
        f"{count(send.tokens)} tokens anew for {price}; from the cache they were {usd(send.read_usd)}."
    )


def ago(seconds: float) -> str:
    """Returns how long something took, in words."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} minute{'s' * (minutes != 1)}"
    hours = round(seconds / 3600)
    return f"{hours} hours" if hours < 48 else f"{round(seconds / 86_400)} days"
