"""Takes what answers' headers tell of a plan's limits, off the way of the answers, and only where it has changed."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

import msgspec

from anchorline import rate_limits
from anchorline.gateway.account import account, fingerprint
from anchorline.gateway.upstream import Upstream
from anchorline.rate_limits import LimitSample

Headers = list[tuple[bytes, bytes]]

_TELLING = (b"anthropic-ratelimit-unified-", b"x-codex-")
"""How the headers begin that tell of limits."""
AGAIN_S = 60.0
"""How often the same is told again: from that it is known how long nothing changed."""
CAPACITY = 64
"""Accounts whose last headers are remembered."""


class _Last(msgspec.Struct):
    """The newest headers of an account, when they came, and when they were taken last."""

    headers: Headers
    account: str
    at: float
    taken_at: float


class LimitHeaders:
    """The newest limits of each account that requests pass for. `take` gets the samples that are new.

    `key` is a secret of this machine, with which accounts are hashed. Used on the event loop.
    """

    def __init__(self, key: bytes, take: Callable[[tuple[LimitSample, ...]], None]) -> None:
        self._key = key
        self._take = take
        self._last: OrderedDict[str, _Last] = OrderedDict()

    def note(
        self,
        upstream: Upstream,
        headers: Headers,
        body: bytes,
        answer: Iterable[tuple[bytes, bytes]],
        at: float,
    ) -> None:
        """Takes in an answer that begins at `at`."""
        telling = [(name, value) for name, value in answer if name.lower().startswith(_TELLING)]
        if not telling:
            return
        sender = fingerprint(upstream, headers, self._key)
        last = self._last.get(sender)
        if last is None:
            last = _Last([], account(upstream, headers, body, answer, self._key), at, at)
            self._last[sender] = last
            if len(self._last) > CAPACITY:
                self._last.popitem(last=False)
        self._last.move_to_end(sender)
        samples: tuple[LimitSample, ...] = ()
        if last.headers != telling:
            samples = (*_samples(last.headers, last.at, last.account), *_samples(telling, at, last.account))
        elif at - last.taken_at >= AGAIN_S:
            samples = _samples(telling, at, last.account)
        if samples:
            self._take(samples)
            last.taken_at = at
        last.headers, last.at = telling, at

    def account(self, upstream: Upstream, headers: Headers) -> str:
        """Returns the hash of the account that a request is sent for; nothing before an answer has told of limits."""
        last = self._last.get(fingerprint(upstream, headers, self._key)) if self._last else None
        return last.account if last is not None else ""


def _samples(headers: Headers, at: float, account_hash: str) -> tuple[LimitSample, ...]:
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return rate_limits.from_headers(texts, at, account_hash)
