"""Claude Code's status line: what the provider holds of the conversation, what its loss costs, and the plan's windows.

It is asked for some three times a second by each session, so it is made of what Claude Code tells and what is in
memory. A session file is read only where Claude Code tells nothing of the cache: before the first answer of a session
that goes on. The windows' forecast is made in a thread of its own, and a plan's limits are recorded where they have
changed.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from anchorline import rate_limits
from anchorline.config import Config, load
from anchorline.figures import cents, share
from anchorline.hooks import session_file, status_text
from anchorline.hooks.cold_send import prefix_price
from anchorline.hooks.environment import claude_sessions, settings, targets
from anchorline.hooks.events import DISPLAY, Display, Event
from anchorline.hooks.last_request import TAILS, LastRequest, last_request
from anchorline.hooks.status_text import Cache, Window, told_cache, told_windows
from anchorline.limits import wording
from anchorline.limits.model import TokenCounts, WindowState
from anchorline.limits.state import Limits, limits
from anchorline.limits.windows import SAME_RESET_S
from anchorline.outcome import Usage
from anchorline.prompt.model import PromptError
from anchorline.route.pricing import Pricing
from anchorline.store.database import StoreError, locate
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder

SESSIONS = 256
"""Sessions that are remembered, those that were asked for last."""
AGAIN_S = 15.0
"""How often settings, forecasts and what the gateway keeps warm are looked at."""
REST = 50
"""A forecast is made anew after so many times of what it took, so that it takes 2 % of one core at most."""
MODELS = 32
"""Models of which it is known what a token takes of a window."""
MANY = 100_000
"""Tokens of which it is asked what they take of a window: an ordinary prompt, at its price."""
RECORD_AGAIN_S = 60.0
"""After so long a database that could not be written is tried again."""
CLOSE_S = 1.0
FIRST_TAIL = 1 << 16
"""Bytes at the end of a session file that mostly have its newest request: they take 2 ms to read."""
OWN = 0.5
"""A warm prefix of at least so much of the conversation is the conversation's own, not what all begin with."""
log = logging.getLogger(__name__)


class _Session(msgspec.Struct):
    """What is remembered of a session: `model` gave answer number `requests`. Times are epoch seconds."""

    config: Config = Config()
    looked_at: float = -math.inf
    requests: float | None = None
    model: str = ""
    told: tuple[tuple[str, float, float | None], ...] | None = None
    held_until: float = 0.0
    held_at: float = -math.inf
    file: tuple[int, int] = (0, 0)
    request: LastRequest | None = None


class StatusLine:
    """Makes the line of each session. Used by several threads."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._lock = threading.Lock()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="limits")
        self._forecast: Future[None] | None = None
        self._next_forecast_at = -math.inf
        self._limits: Limits | None = None
        self._shares: dict[tuple[str, str], tuple[float, float] | None] = {}
        self._recorder: Recorder | None = None
        self._recorder_at = -math.inf
        self._background.submit(_prices_read)

    def line(self, status: Event) -> str:
        """Returns the line for what Claude Code tells. What can't be found out is left out of it."""
        now = time.time()
        cache, windows = told_cache(status), told_windows(status)
        try:
            session = self._session(status, now)
            cache = self._cache(status, session, cache, now)
            if windows:
                self._record(status, session, now)
                windows = self._with_forecast(windows, status, session, now)
            if cache is not None:
                cache = cache._replace(stake=self._stake(cache, status, session, now))
        except (OSError, PromptError, StoreError, ValueError) as error:
            log.warning("a status line without all of its parts: %s", type(error).__name__)
        shown = status.get(DISPLAY)
        display = shown if isinstance(shown, Display) else Display()
        return status_text.line(status, cache, windows, now, display.columns, has_color=display.has_color)

    def close(self) -> None:
        """Writes what is queued, within `CLOSE_S`."""
        self._background.shutdown(wait=False, cancel_futures=True)
        if self._recorder is not None:
            self._recorder.close(CLOSE_S)

    def _session(self, status: Event, now: float) -> _Session:
        name = status.get("session_id")
        with self._lock:
            session = self._sessions.setdefault(name if isinstance(name, str) else "", _Session())
            self._sessions.move_to_end(name if isinstance(name, str) else "")
            while len(self._sessions) > SESSIONS:
                self._sessions.popitem(last=False)
        if not 0 <= now - session.looked_at < AGAIN_S:
            session.config, session.looked_at = settings(status), now
        return session

    # The cache

    def _cache(self, status: Event, session: _Session, told: Cache | None, now: float) -> Cache | None:
        cache = told
        model = _model(status)
        if "prompt_cache" in status:
            requests = _requests(status)
            if requests != session.requests:
                session.requests, session.model = requests, model
        else:
            request = _read(status, session)
            expires_at = None if request is None else request.expires_at(targets(session.config))
            if request is not None and expires_at is not None:
                session.model = request.model
                cache = Cache(request.cached, expires_at)
        if cache is None:
            return None
        if session.model and not targets(session.config).same(session.model, model):
            return cache._replace(is_other=True)
        if not cache.is_warm(now) and (until := _held(status, session, cache, now)) > now:
            return cache._replace(expires_at=until)
        return cache

    def _stake(self, cache: Cache, status: Event, session: _Session, now: float) -> str:
        """Returns what writing the cached tokens anew costs: in per cent of the plan's window, else in dollars."""
        model, ttl = _model(status), _ttl(status, session)
        is_warm = cache.is_warm(now)
        if "rate_limits" in status and (shares := self._share_of_window(model, ttl)) is not None:
            write, read = shares
            percent = cache.tokens * (max(write - read, 0.0) if is_warm else write)
            return f"{share(percent / 100)} of 5h"
        usage = Usage(speed="fast" if status.get("fast_mode") is True else "")
        price = prefix_price(model, cache.tokens, ttl, usage, targets(session.config), now)
        return "" if price is None else cents(price.write - price.read if is_warm else price.write)

    def _share_of_window(self, model: str, ttl: str) -> tuple[float, float] | None:
        """Returns the per cent of the 5-hour window that writing and reading a token takes; None until it is known."""
        if len(self._shares) < MODELS:
            self._shares.setdefault((model, ttl), None)
        return self._shares.get((model, ttl))

    # The plan's windows

    def _with_forecast(
        self, windows: tuple[Window, ...], status: Event, session: _Session, now: float
    ) -> tuple[Window, ...]:
        """Returns the windows with what other sessions have told since, and their forecasts."""
        if now >= self._next_forecast_at and (self._forecast is None or self._forecast.done()):
            self._forecast = self._background.submit(self._look, session.config, now)
        states = self._limits.windows if self._limits is not None else ()
        resets = {sample.window: sample.resets_at for sample in rate_limits.from_status_line(status, now)}
        names = {name: window for window, name in status_text.WINDOWS}
        return tuple(
            _forecast(window, states, names[window.name], resets.get(names[window.name]), now)
            for window in windows
        )

    def _look(self, config: Config, now: float) -> None:
        began = time.perf_counter()
        try:
            self._limits = limits(locate(config.store.path), targets(config), now)
            for model, ttl in list(self._shares):
                write = _percent(self._limits, model, _written(MANY, ttl))
                read = _percent(self._limits, model, TokenCounts(read=MANY)) or 0.0
                self._shares[model, ttl] = None if write is None else (write / MANY, read / MANY)
        except (OSError, StoreError) as error:
            log.warning("a plan's limits can't be read (%s)", type(error).__name__)
        except Exception:
            log.exception("a plan's limits can't be forecast")
        self._next_forecast_at = now + max(AGAIN_S, REST * (time.perf_counter() - began))

    def _record(self, status: Event, session: _Session, now: float) -> None:
        """Records the plan's limits where this session tells others than before.

        A session tells the figures of its own last answer for ever. So what it tells first is as old as its file, and
        what is told again is no news.
        """
        told = tuple(
            (sample.window, sample.used, sample.resets_at)
            for sample in rate_limits.from_status_line(status, now)
        )
        before, session.told = session.told, told
        if told == before or not session.config.store.enabled:
            return
        at = now if before is not None else _written_at(status, now)
        recorder = self._recording(session.config, now)
        if recorder is not None:
            recorder.limits(rate_limits.from_status_line(status, at))

    def _recording(self, config: Config, now: float) -> Recorder | None:
        path = locate(config.store.path)
        recorder = self._recorder
        if recorder is not None and recorder.path == path and recorder.state.status == "ok":
            return recorder
        if now - self._recorder_at < RECORD_AGAIN_S:
            return None
        if recorder is not None:
            recorder.close(CLOSE_S)
        self._recorder_at = now
        self._recorder = Recorder(path, config.store.text, features=config.store.features)
        return self._recorder


def _prices_read() -> None:
    """Reads prices before the first line asks for them: it takes 0.1 s."""
    Pricing(targets(load().config)).prices("claude-sonnet-5")


def _model(status: Event) -> str:
    model = status.get("model")
    name = model.get("id") if isinstance(model, dict) else None
    return name if isinstance(name, str) else ""


def _requests(status: Event) -> float | None:
    told = status.get("prompt_cache")
    number = told.get("requests") if isinstance(told, dict) else None
    return number if isinstance(number, int | float) else None


def _ttl(status: Event, session: _Session) -> str:
    told = status.get("prompt_cache")
    ttl = told.get("ttl") if isinstance(told, dict) else None
    if isinstance(ttl, str):
        return ttl
    return session.request.ttl if session.request is not None else ""


def _written(tokens: int, ttl: str) -> TokenCounts:
    return TokenCounts(write_1h=tokens) if ttl == "1h" else TokenCounts(write_5m=tokens)


def _percent(known: Limits, model: str, tokens: TokenCounts) -> float | None:
    """Returns what tokens cost of the 5-hour window, in per cent; None where that is not known yet."""
    for cost in known.cost(model, tokens):
        if cost.window == "five_hour" and cost.percent is not None:
            return cost.percent.value
    return None


def _read(status: Event, session: _Session) -> LastRequest | None:
    """Returns the newest request of the session's file, which is read again where it has changed."""
    path = session_file.named(status, claude_sessions(status))
    if path is None:
        return None
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) != session.file:
        session.request = last_request(path, (FIRST_TAIL, *TAILS))
        session.file = (now.st_size, now.st_mtime_ns)
    return session.request


def _held(status: Event, session: _Session, cache: Cache, now: float) -> float:
    """Returns until when the gateway has kept the conversation warm; 0 where it has not."""
    if not 0 <= now - session.held_at < AGAIN_S:
        session.held_at = now
        name = status.get("session_id")
        held = Reader(locate(session.config.store.path)).held(name, now) if isinstance(name, str) else []
        own = [entry.expires_at for entry in held if entry.tokens >= cache.tokens * OWN]
        session.held_until = max(own, default=0.0)
    return session.held_until


def _written_at(status: Event, now: float) -> float:
    path = session_file.named(status, claude_sessions(status))
    return now if path is None else min(path.stat().st_mtime, now)


def _forecast(
    window: Window, states: Iterable[WindowState], name: str, resets_at: float | None, now: float
) -> Window:
    """Returns a window with its forecast, where what is known is of the same one: it resets at the same time."""
    if resets_at is None:
        return window
    for state in states:
        is_same = state.window == name and state.resets_at is not None and not state.over
        if is_same and abs((state.resets_at or 0.0) - resets_at) <= SAME_RESET_S:
            text = ""
            if state.wall is not None and state.wall.at is not None:
                text = f", full {wording.moment(state.wall.at, now)}"
            elif state.at_reset is not None:
                text = f"→{min(state.at_reset.value, wording.FULL):.0f}%"
            is_near = window.is_near or bool(wording.nearness(state))
            return Window(window.name, max(window.used, state.used), text, is_near)
    return window
