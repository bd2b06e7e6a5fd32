"""The gateway as an ASGI application: who is let in, where a request goes, and the bytes in both directions.

A request is sent on as it came, or as its plan changes it, and its answer goes back as it comes: first byte to first
byte, status and body untouched. Whatever fails in here, the original bytes are sent on.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from anchorline.gateway import metrics
from anchorline.gateway.access import Access, Admitted, Refused
from anchorline.gateway.budget_watch import BudgetWatch
from anchorline.gateway.coding import packed, unpacked
from anchorline.gateway.credential import credential
from anchorline.gateway.exchange import Exchange, Sender, counted, format_of, model_of
from anchorline.gateway.exchanges import Exchanges
from anchorline.gateway.incoming import Incoming, LeftError, Receive, Send, SlowError
from anchorline.gateway.limit_watch import LimitWatch
from anchorline.gateway.listeners import Listeners
from anchorline.gateway.local import NAME, LocalAnswer, LocalTier, named
from anchorline.gateway.refusals import Refusal
from anchorline.gateway.response_cache import AnswerCopy, ResponseCache
from anchorline.gateway.upstream import CODEX, MARK, OPENAI, RawHeaders, Upstream, Upstreams, answered
from anchorline.gateway.usage import Meter, header
from anchorline.limits.model import WindowState
from anchorline.prompt.model import Format
from anchorline.prompt.session import of_headers

LOOKED_AT_BYTES = 16 << 20
"""Larger bodies are sent on piece by piece, without a plan."""
TOLD_BYTES = 16 << 10
TOLD_S = 2.0
"""How much of a refusal is read, and for how long, to see what was refused."""

STATUSES = range(200, 600)
"""Those of a final answer (RFC 9110, section 15); a server can't send any other on."""

log = logging.getLogger(__name__)


class Call(NamedTuple):
    """A request that was let in. `format` is None where its body is no prompt to answer, `counted` none to count.

    `body` is what was read of it, unpacked where it is looked at and has an `encoding`; `came` are its bytes then.
    """

    upstream: Upstream
    method: str
    path: str
    headers: list[tuple[bytes, bytes]]
    incoming: Incoming
    body: bytes
    format: Format | None
    counted: Format | None
    sender: Sender = Sender()
    encoding: str = ""
    came: bytes = b""


class App:
    """Answers requests. `exchanges` plans and records them, None: they are only passed through. `clock`: epoch seconds.

    `answers` is the response cache, `local` the model on this machine, `listeners` the language servers that hear of
    warnings, `budgets` tells what was spent of them, `limits` knows a plan's windows; None where there is none.
    """

    def __init__(
        self,
        access: Access,
        upstreams: Upstreams,
        exchanges: Exchanges | None,
        clock: Callable[[], float] = time.time,
        answers: ResponseCache | None = None,
        local: LocalTier | None = None,
        listeners: Listeners | None = None,
        budgets: BudgetWatch | None = None,
        limits: LimitWatch | None = None,
    ) -> None:
        self._budgets = budgets
        self._limits = limits
        self._listeners = listeners
        self._answers = answers
        self._local = local
        self._access = access
        self._clock = clock
        self._upstreams = upstreams
        self._exchanges = exchanges

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request (ASGI)."""
        try:
            target = self._access.admit(scope["raw_path"], scope["query_string"], scope["headers"])
            if target.proof:
                await _say(send, b"text/plain", target.proof.encode())
                return
            if target.run == "" and await self._own(target, receive, send):
                return
            upstream = self._upstream(target, scope["headers"])
            if b"websocket" in header(scope["headers"], b"upgrade").encode():
                await refuse(send, 426, "WebSockets are not passed on; HTTP is", close=True)
                return
            incoming = Incoming(receive)
            body = await incoming.read(LOOKED_AT_BYTES)
        except Refused as refused:
            await refuse(send, refused.status, refused.reason)
        except SlowError:
            await refuse(send, 408, "the request's body came too slowly", close=True)
        except LeftError:
            log.info("a client left before its request was complete")
        else:
            head = upstream, scope["method"], target.path, scope["headers"]
            call = Call(*head, incoming, body, None, None, Sender(run=target.run))
            await self._exchange(await _looked_at(call), send)

    async def _own(self, target: Admitted, receive: Receive, send: Send) -> bool:
        """Answers a request that is for the gateway itself, of who has its token; returns whether it is one."""
        if self._exchanges is not None and target.name == "status" and target.path:
            spent = self._limits.spent if self._limits is not None else lambda _: ()
            await _show(send, target.name, await self._exchanges.state_of(target.path[1:], spent))
        elif self._exchanges is not None and target.name in ("metrics", "status") and target.path == "":
            state = self._exchanges.state()
            windows = self._limits.windows if self._limits is not None else ()
            state = msgspec.structs.replace(state, windows=windows)
            if self._budgets is not None:
                uses, of_windows = self._budgets.uses(), self._budgets.window_uses(windows)
                state = msgspec.structs.replace(state, budgets=uses, window_budgets=of_windows)
            await _show(send, target.name, state)
        elif self._listeners is not None and target.name == "events":
            await self._listeners.listen(receive, send, target.path[1:])
        else:
            return False
        return True

    def _upstream(self, target: Admitted, headers: RawHeaders) -> Upstream:
        if target.run and (self._listeners is None or not self._listeners.holds(target.run)):
            raise Refused(503, "the run of `anchorline run` that this address is of is over")
        try:
            upstream = self._upstreams.find(target.name)
        except ValueError as error:
            raise Refused(404, str(error)) from None
        if upstream is None:
            raise Refused(404, f"there is no upstream {target.name!r}")
        if upstream.host == OPENAI and credential(upstream, headers) == "ChatGPT login":
            return msgspec.structs.replace(upstream, base=CODEX)
        return upstream

    async def _exchange(self, call: Call, send: Send) -> None:
        """Forwards a request until its answer is complete, or its client has gone."""
        keeping = None
        held = self._exchanges is not None and self._exchanges.held(call.sender.credential)
        if self._answers is not None and call.format is not None and not held:
            keeping, given = await self._again(self._answers, call, call.format, send)
            if given:
                return
        refusal = await self._refusal(call)
        if refusal is not None:
            await refuse(send, 402, refusal)
            return
        forwarding = asyncio.ensure_future(self._forward(call, send, keeping))
        leaving = asyncio.ensure_future(call.incoming.left())
        try:
            await asyncio.wait({forwarding, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not forwarding.done():
                forwarding.cancel()  # which closes the connection to the upstream
                log.info("a client left before its answer was complete")
        await asyncio.wait({forwarding})
        if not forwarding.cancelled():
            forwarding.result()

    async def _refusal(self, call: Call) -> str | None:
        """Returns why a request that costs something is not sent; None where it is."""
        if self._budgets is None or call.format is None or (self._local is not None and named(call.body)):
            return None
        return await self._budgets.refusal(call.sender.session, lambda: self._windows(call))

    async def _again(
        self, answers: ResponseCache, call: Call, body_format: Format, send: Send
    ) -> tuple[AnswerCopy | None, bool]:
        """Gives an answer again, if one is kept. Returns what keeps the provider's otherwise; whether it was given."""
        now = self._clock()
        lookup = await answers.find(call.upstream, call.path, body_format, call.headers, call.body, now)
        if lookup is None:
            return None, False
        question, kept, how = lookup
        if kept is None:
            return AnswerCopy(question), False
        mark = f"{how}; age={kept.age:.0f}".encode()
        length = (b"content-length", str(len(kept.body)).encode())
        headers = [*kept.answer.headers, length, (MARK, mark)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": kept.body})
        if self._exchanges is not None:
            self._exchanges.reused(kept.answer, now - kept.age, call.sender.run)
        answers.used(kept)
        return None, True

    async def _forward(self, call: Call, send: Send, keeping: AnswerCopy | None) -> None:
        exchange = None
        if self._exchanges is not None and call.format is not None:
            exchange = self._exchanges.open(call.format, call.body, self._clock(), call.sender)
            # What may be kept for long has no bodies.
            exchange.send = partial(self._sent, call._replace(body=b"", came=b""))
        begun = False
        try:
            async with AsyncExitStack() as stack:
                answer = await self._answer(call, exchange, stack)
                if answer.status not in STATUSES:
                    await refuse(send, 502, f"{call.upstream.base} answered with the status {answer.status}")
                    return
                headers = answered(answer.raw_headers, answer.status)
                meter = _meter(answer.raw_headers)
                if self._limits is not None and exchange is not None:
                    self._limits.note(call.upstream, call.headers, call.body, answer.raw_headers)
                shown = self._shown(call, exchange, answer.status, meter, _request_id(answer.raw_headers))
                await send(
                    {"type": "http.response.start", "status": answer.status, "headers": [*headers, *shown]}
                )
                begun = True
                if answer.status != 200:
                    keeping = None
                async for chunk in answer.content.iter_any():
                    meter.feed(chunk)
                    if keeping is not None:
                        keeping.feed(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                meter.end()
                await send({"type": "http.response.body", "body": b""})
                if keeping is not None and self._answers is not None:
                    self._answers.keep(keeping, headers, meter)
        except (aiohttp.ClientError, TimeoutError, LeftError, SlowError) as error:
            # Once an answer has begun, returning without its end closes the connection, as the upstream did.
            name, base = call.upstream.name, call.upstream.base
            log.warning("%s: %s %s", name, "cut off" if begun else "not reached", type(error).__name__)
            if not begun:
                await refuse(send, 502, f"{base} can't be reached ({_why(error)})")
        finally:
            if exchange is not None and self._exchanges is not None:
                self._exchanges.close(exchange)

    def _shown(
        self, call: Call, exchange: Exchange | None, status: int, meter: Meter, request_id: str
    ) -> list[tuple[bytes, bytes]]:
        """Returns the headers that say what was done with a request whose answer begins."""
        if exchange is None or self._exchanges is None:
            return []
        headers = self._exchanges.answered(exchange, status, meter, request_id)
        windows = self._windows(call)
        if self._budgets is not None:
            headers += self._budgets.headers(call.sender.session, windows)
        if self._limits is not None:
            headers += self._limits.warnings(windows)
        return headers

    def _windows(self, call: Call) -> tuple[WindowState, ...]:
        """Returns the windows of a plan that a request counts for."""
        if self._limits is None:
            return ()
        return self._limits.of(call.upstream, call.headers, call.sender.credential)

    async def _answer(
        self, call: Call, exchange: Exchange | None, stack: AsyncExitStack
    ) -> aiohttp.ClientResponse | LocalAnswer:
        """Returns the begun answer: of the local model, or of the provider to the request as planned, or as it was."""
        sent = call.body
        if exchange is not None and self._exchanges is not None:
            sent = await self._exchanges.prepare(exchange)
        if self._local is not None and call.counted is not None and named(call.body):
            return await self._local.count(call.counted, call.body)
        if self._local is not None and call.format is not None:
            # A plan has read the body already; without one it takes half a millisecond for each of its megabytes.
            read = exchange.planned if exchange is not None else None
            if read.prompt.model == NAME if read is not None else named(call.body):
                return await stack.enter_async_context(self._local.request(call.format, sent))
            if exchange is not None and exchange.local and self._local.has(exchange.route):
                here = self._local.request(call.format, sent, exchange.route)
                local = await stack.enter_async_context(here)
                if local.status == 200:
                    return local
                exchange.unanswered()
                sent = call.body
        answer = await stack.enter_async_context(self._sent(call, sent))
        if exchange is not None and sent is not call.body and exchange.refusable(answer.status):
            exchange.refused(Refusal(answer.status, await _told(answer)))
            answer = await stack.enter_async_context(self._sent(call, call.body))
        return answer

    @asynccontextmanager
    async def _sent(self, call: Call, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """Holds the provider's answer to a request: as it came, or with another body in the same encoding."""
        whole = call.incoming.complete
        if call.encoding:
            changed = body is not call.body
            body = await asyncio.to_thread(packed, body, call.encoding) if changed else call.came
        size = len(body) if whole else _length(call.headers)
        onward = body if whole else call.incoming.rest(body)
        request = self._upstreams.request(call.upstream, call.method, call.path, call.headers, onward, size)
        async with request as answer:
            yield answer


async def _told(answer: aiohttp.ClientResponse) -> bytes:
    """Returns the beginning of what a refusal says, and lets its connection go."""
    try:
        async with asyncio.timeout(TOLD_S):
            message = await answer.content.read(TOLD_BYTES)
    except (aiohttp.ClientError, TimeoutError):
        message = b""
    answer.close()
    return unpacked(message, header(answer.raw_headers, b"content-encoding"), TOLD_BYTES << 4) or b""


async def _looked_at(call: Call) -> Call:
    """Returns a request with what its body is: a prompt to answer, or to count, if it can be read at all."""
    if call.method != "POST" or not call.incoming.complete:
        return call
    name, path = call.upstream.name, urlsplit(call.upstream.base).path + call.path
    body_format, count = format_of(name, path), counted(name, path)
    if body_format is None and count is None:
        return call
    encoding, came = header(call.headers, b"content-encoding"), call.body
    if encoding not in ("", "identity"):
        body = await asyncio.to_thread(unpacked, came, encoding, LOOKED_AT_BYTES)
        if body is None:
            return call
        call = call._replace(body=body, encoding=encoding, came=came)
    kind = credential(call.upstream, call.headers, call.body, call.path)
    sender = Sender(
        header(call.headers, b"user-agent"),
        of_headers(call.headers),
        kind,
        model_of(call.path),
        call.sender.run,
    )
    return call._replace(format=body_format, counted=count, sender=sender)


async def _show(send: Send, name: str, state: metrics.GatewayState) -> None:
    """Answers with what went through: for Prometheus, or as JSON for `anchorline top`."""
    kind, body = (
        (metrics.TYPE, metrics.prometheus(state))
        if name == "metrics"
        else (b"application/json", msgspec.json.encode(state))
    )
    await _say(send, kind, body)


async def _say(send: Send, kind: bytes, body: bytes) -> None:
    """Answers in the gateway's own name."""
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _request_id(headers: tuple[tuple[bytes, bytes], ...]) -> str:
    """Returns the name that Anthropic gives a request: its clients write that down, beside the answer's own id."""
    values = (value.decode("latin-1").strip() for name, value in headers if name.lower() == b"request-id")
    return next(values, "")


def _meter(headers: tuple[tuple[bytes, bytes], ...]) -> Meter:
    return Meter(header(headers, b"content-type"), header(headers, b"content-encoding"))


def _length(headers: list[tuple[bytes, bytes]]) -> int | None:
    value = header(headers, b"content-length")
    return int(value) if value.isdecimal() else None


async def refuse(send: Send, status: int, reason: str, *, close: bool = False) -> None:
    """Answers in the gateway's own name, in a form that the providers' libraries can show."""
    message = {"type": "error", "error": {"type": "anchorline_error", "message": f"Anchorline: {reason}"}}
    body = msgspec.json.encode(message)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"anchorline-error", reason.encode("ascii", "replace")),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _why(error: Exception) -> str:
    """Returns why a provider can't be reached, in words where they help."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not found: is this machine online?"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error).__name__
    return type(error).__name__
