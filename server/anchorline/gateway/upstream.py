"""The provider's side of an exchange: requests go on as they came, but for the headers of their connection.

Nothing is decoded, followed or kept: no redirects, no cookies, no `.netrc`, no decompression. Nothing is tried again
either, but for a request that met a connection whose end its server had closed meanwhile.
"""

import logging
import os
import re
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from aiohttp import client_reqrep, http_writer
from multidict import CIMultiDict
from yarl import URL

from anchorline.config import Gateway, KeySource
from anchorline.gateway import addresses, coding

CONNECT_S = 30.0
KEEPALIVE_S = 30.0
"""An idle connection is given up after so long: before a provider's own server does."""
STALE_S = 2.0
"""A kept connection that ends within so long of a request, without a byte of an answer, was closed before it came.

Servers close idle connections (uvicorn after 5 s), and a request may be on its way at that moment. Nobody has read it
then, so it may be sent once more, a POST as well (RFC 9110, 9.2.2, asks for a means to know that). On a new connection,
or after a longer time, a server may have begun to answer, which would be billed twice: then it is not.
"""
HEADER_BYTES = 64 * 1024
WHOLE_BYTES = 1 << 20
"""Bodies up to here are handed over in one piece together with the head."""

CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection only (RFC 9110, 7.6.1)."""
MARK = b"anchorline-cache"
"""A header for the response cache: a client's `on` or `off`; in an answer, how it was found and how old it is."""
_ONWARD = CONNECTION | {b"host", b"content-length", b"expect", MARK}
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
OPENAI = "api.openai.com"
CHATGPT = "chatgpt.com"
CODEX = f"https://{CHATGPT}/backend-api/codex"
"""Where Codex itself sends what is paid by a ChatGPT login, which OpenAI's API does not take."""
_ESCAPED = re.compile("[\udc80-\udcff]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY"}
KEY_HEADERS = frozenset({b"x-api-key", b"authorization", b"x-goog-api-key"})
"""Headers that hold a client's key, which is replaced where the settings name one."""
_KEY_PARAMETER = re.compile(r"(?:(?<=\?)key=[^&]*&?|&key=[^&]*)")
"""A Gemini key in the query, with one of the signs around it."""

log = logging.getLogger(__name__)

RawHeaders = Iterable[tuple[bytes, bytes]]


class KeyMissingError(Exception):
    """A key that the settings ask for is not there. The message says where it was looked for."""


class Upstream(msgspec.Struct, frozen=True):
    """A provider's API: its base URL without a slash at the end, and the key to send (None: the client's own)."""

    name: str
    base: str
    key: str | None = None

    @property
    def host(self) -> str:
        """The name of the server, in lower case."""
        return urlsplit(self.base).hostname or ""

    def url(self, path: str) -> URL:
        """Returns where a request to a path goes.

        At ChatGPT's own backend, which has no versions, without one; with a key of the settings' own, without the
        client's, which Gemini takes in the query too.
        """
        if self.host == CHATGPT:
            path = path.removeprefix("/v1")
        if self.key is not None and self.name == "gemini":
            path = _KEY_PARAMETER.sub("", path).removesuffix("?")
        return URL(self.base + path, encoded=True)

    def headers(self, raw_headers: RawHeaders) -> "CIMultiDict[str]":
        """Returns the headers to send: the client's, in their order, without those of its connection.

        Encodings of the answer are asked for only where they can be read (`coding.readable`).
        """
        raw_headers = list(raw_headers)
        dropped = _ONWARD | _named(raw_headers)
        if self.key is not None:
            dropped = dropped | KEY_HEADERS
        sent = CIMultiDict(
            (_text(name), _text(coding.readable(value) if name.lower() == b"accept-encoding" else value))
            for name, value in raw_headers
            if name.lower() not in dropped
        )
        if self.key is not None and self.name == "anthropic":
            sent["x-api-key"] = self.key
        elif self.key is not None and self.name == "gemini":
            sent["x-goog-api-key"] = self.key
        elif self.key is not None:
            sent["authorization"] = f"Bearer {self.key}"
        return sent


def upstreams(settings: Gateway) -> dict[str, Upstream]:
    """Returns the providers by the name that they have in a path. Raises KeyMissingError, ValueError for a bad URL."""
    providers = {}
    for name, base, source in (
        ("anthropic", settings.anthropic, settings.anthropic_key),
        ("openai", settings.openai, settings.openai_key),
        ("gemini", settings.gemini, settings.gemini_key),
    ):
        try:
            addresses.check(base)
        except ValueError as error:
            raise ValueError(f"gateway.{name}: {error}") from None
        providers[name] = Upstream(name, base.rstrip("/"), _key(name, source))
    return providers


def _key(name: str, source: KeySource) -> str | None:
    if source == "client":
        return None
    if source == "environment":
        key = os.environ.get(_VARIABLES[name])
        if not key:
            raise KeyMissingError(
                f"gateway.{name}_key: the environment variable {_VARIABLES[name]} is not set"
            )
        return key
    try:
        import keyring  # noqa: PLC0415  (an extra)
    except ImportError:
        raise KeyMissingError(
            f"gateway.{name}_key: the keyring needs a package more: pip install 'anchorline[keyring]'"
        ) from None
    try:
        key = keyring.get_password("anchorline", name)
    except keyring.errors.KeyringError as error:
        raise KeyMissingError(
            f"gateway.{name}_key: the keyring can't be read ({type(error).__name__})"
        ) from None
    if not key:
        raise KeyMissingError(
            f"gateway.{name}_key: the keyring has none; store it with: keyring set anchorline {name}"
        )
    return key


class Upstreams:
    """Connections to the providers. Make it on the event loop; close it at the end."""

    def __init__(self, providers: Mapping[str, Upstream]) -> None:
        self._found = providers
        self._proxies = {upstream.base: _proxy(upstream.base) for upstream in providers.values()}
        self._session = _session(aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S))
        self._fresh = _session(aiohttp.TCPConnector(limit=0, force_close=True))

    def find(self, name: str) -> Upstream | None:
        """Returns a provider by its name in a path, which may say its base URL (`addresses.py`). Raises ValueError.

        Keys of the settings are sent to the upstreams of the settings alone.
        """
        name, _, base = name.partition(".")
        upstream = self._found.get(name)
        return upstream if upstream is None or not base else Upstream(name, addresses.upstream(base))

    @asynccontextmanager
    async def request(
        self,
        upstream: Upstream,
        method: str,
        path: str,
        headers: RawHeaders,
        body: bytes | AsyncIterable[bytes],
        size: int | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Holds the answer to a request, begun: its `content` yields the bytes as they come.

        `size` is the body's where it is known. Raises aiohttp.ClientError, or TimeoutError, when entered.
        """
        sent = upstream.headers(headers)
        large = size is not None and size > 0 and (not isinstance(body, bytes) or size > WHOLE_BYTES)
        if large:
            sent["Content-Length"] = str(size)

        async def ask(session: aiohttp.ClientSession, connection: SimpleNamespace) -> aiohttp.ClientResponse:
            return await session.request(
                method,
                upstream.url(path),
                headers=sent,
                data=_pieces(body) if large and isinstance(body, bytes) else body or None,
                allow_redirects=False,
                proxy=self._proxy(upstream.base),
                trace_request_ctx=connection,
            )

        started, connection = time.monotonic(), SimpleNamespace(reused=False)
        try:
            answer = await ask(self._session, connection)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            begun = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
            late = time.monotonic() - started > STALE_S
            if begun or late or not connection.reused or not isinstance(body, bytes):
                raise
            log.info("%s: a kept connection was closed, so the request goes on a new one", upstream.name)
            answer = await ask(self._fresh, connection)
        async with answer:
            yield answer

    def _proxy(self, base: str) -> str | None:
        return self._proxies[base] if base in self._proxies else _proxy(base)

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()
        await self._fresh.close()


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    """Returns a session that adds nothing, and tells whether a request's connection was kept from an earlier one."""
    connections = aiohttp.TraceConfig()
    connections.on_connection_reuseconn.append(_reused)
    connections.on_connection_create_start.append(_created)
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        skip_auto_headers=_AUTOMATIC,
        max_line_size=HEADER_BYTES,
        max_field_size=HEADER_BYTES,
        trace_configs=[connections],
    )


async def _reused(_session: aiohttp.ClientSession, context: SimpleNamespace, _told: Any) -> None:  # noqa: ANN401
    context.trace_request_ctx.reused = True


async def _created(_session: aiohttp.ClientSession, context: SimpleNamespace, _told: Any) -> None:  # noqa: ANN401
    context.trace_request_ctx.reused = False


async def _pieces(body: bytes) -> AsyncIterable[bytes]:
    yield body


def answered(raw_headers: RawHeaders, status: int) -> list[tuple[bytes, bytes]]:
    """Returns an answer's headers for the client: the upstream's, without those of its connection."""
    raw_headers = list(raw_headers)
    dropped = CONNECTION | _named(raw_headers)
    if status == 304:
        dropped = dropped | {b"content-length"}  # it tells of a body that is not sent
    return [(name, value) for name, value in raw_headers if name.lower() not in dropped]


def _named(headers: RawHeaders) -> frozenset[bytes]:
    """Returns the headers that `Connection` says belong to it."""
    return frozenset(
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    )


def _text(value: bytes) -> str:
    """Returns a header as text from which `_Writer` makes the same bytes."""
    return value.decode("utf-8", "surrogateescape")


class _Writer(http_writer.StreamWriter):
    """aiohttp's writer of requests, which sends header bytes that are not UTF-8 as they came.

    A header's bytes above 127 are opaque to a proxy (RFC 9110, 5.5). Node's clients send them as Latin-1.
    """

    async def write_headers(self, status_line: str, headers: "CIMultiDict[str]") -> None:
        """Writes the head of a request. Raises ValueError for a control character."""
        if not any(_ESCAPED.search(value) for value in headers.values()):
            await super().write_headers(status_line, headers)
            return
        if any(_CONTROL.search(value) for value in headers.values()):
            raise ValueError("a header has a control character")
        lines = (status_line, *(f"{name}: {value}" for name, value in headers.items()), "", "")
        self._headers_written = False
        self._headers_buf = "\r\n".join(lines).encode("utf-8", "surrogateescape")


client_reqrep.StreamWriter = _Writer  # type: ignore[attr-defined]  # aiohttp has no setting for it


def _proxy(base: str) -> str | None:
    """Returns the proxy that the environment (or the system) has for a URL."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if host in _THIS_MACHINE or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
