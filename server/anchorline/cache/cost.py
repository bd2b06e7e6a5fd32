"""What a request and the next one on its prefix are expected to cost.

    request = price·(read·R + write·W + 1·(T − R − W)) + output
    next    = price·(p_next·rewrite·T − p_reuse·(rewrite − read)·A)

T tokens are sent, R of them read from the cache, W written to it, A anchored for the next request, which comes at all
with `p_next` and while the anchor lives with `p_reuse`. What it does not find it writes again, at `rewrite`; a client
that anchors nothing pays 1. The choice of a lifetime counts the same (`action.py`). The next request's own new tokens
cost the same either way and are left out. docs/explain/cost.md explains it with an example.
"""

import msgspec


class Terms(msgspec.Struct, frozen=True):
    """One way to send a prompt: tokens, the cache's price multipliers, and what becomes of the prefix.

    `price` and `output_price` are USD per token, `read`, `write` and `rewrite` multiples of `price`.
    """

    price: float
    output_price: float
    total: int
    read_tokens: float
    write_tokens: float
    anchored: int
    read: float
    write: float
    rewrite: float
    output: int
    p_next: float
    p_reuse: float

    @property
    def request_usd(self) -> float:
        """This request's input and output."""
        plain = self.total - self.read_tokens - self.write_tokens
        billed = self.read * self.read_tokens + self.write * self.write_tokens + plain
        return self.price * billed + self.output_price * self.output

    @property
    def next_usd(self) -> float:
        """The next request's reading of this one's prefix, in expectation."""
        saved = self.p_reuse * (self.rewrite - self.read) * self.anchored
        return self.price * (self.p_next * self.rewrite * self.total - saved)

    @property
    def usd(self) -> float:
        """Both."""
        return self.request_usd + self.next_usd
