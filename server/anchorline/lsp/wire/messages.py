"""JSON-RPC under the language server: what is asked gets exactly one answer.

pygls supplies the typed calls to the client, the registration of features and the capabilities. How messages
are decoded, checked, run, cancelled and answered is written here, because pygls 2.1 drops requests with a
nested ``"jsonrpc"`` key, answers nothing after `shutdown` or to wrong parameters, and logs what it sends.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import cattrs
import msgspec
from lsprotocol import types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcMethodNotFound,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
    JsonRpcServerNotInitialized,
)
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from anchorline.lsp import protocol
from anchorline.lsp.protocol import JSON
from anchorline.lsp.wire.stdio import Writer, encode

Handler = Callable[[Any], Any]
Kept = TypeVar("Kept")
log = logging.getLogger(__name__)

LONGEST_MESSAGE = 400
"""Characters of an error message."""


class RequestFailed(JsonRpcException):
    """A request that is right but can't be met; the message says why, for the developer."""

    CODE = -32803
    MESSAGE = "Request failed"


class Protocol(LanguageServerProtocol):
    """One client's messages. Everything runs on the event loop."""

    outbox: Writer | None = None
    stop: Callable[[], None] | None = None

    def __init__(self, server: LanguageServer, converter: cattrs.Converter) -> None:
        super().__init__(server, converter)
        self._running: dict[int | str, asyncio.Task[Any]] = {}
        self._notified: set[asyncio.Task[Any]] = set()
        self._progress: dict[int | str, asyncio.Task[Any]] = {}

    def _register_builtin_features(self) -> None:
        self.fm.add_builtin_feature(types.INITIALIZE, self.lsp_initialize)
        self.fm.add_builtin_feature(types.SHUTDOWN, self._shut_down)
        self.fm.add_builtin_feature(types.EXIT, self._exit)
        self.fm.add_builtin_feature(types.SET_TRACE, lambda _params: None)
        self.fm.add_builtin_feature(types.CANCEL_REQUEST, self._cancel)
        self.fm.add_builtin_feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL, self._cancel_progress)
        self.fm.add_builtin_feature(types.WORKSPACE_EXECUTE_COMMAND, self._execute_command)

    # What comes in

    def receive(self, message: JSON) -> None:
        """Take in one decoded message. Never raises."""
        if not isinstance(message, dict):
            self.refuse(None, JsonRpcInvalidRequest("a message is one JSON object; there are no batches"))
            return
        method: JSON = message.get("method")
        message_id: JSON = message.get("id")
        if method is None and message_id is not None and ("result" in message or "error" in message):
            self._take_response(message)
            return
        asked = "id" in message
        if asked and (not isinstance(message_id, int | str) or isinstance(message_id, bool)):
            self.refuse(None, JsonRpcInvalidRequest("an id is an integer or a string"))
        elif not isinstance(method, str) or message.get("jsonrpc") != self.VERSION:
            self.refuse(message_id, JsonRpcInvalidRequest('a message has "jsonrpc": "2.0" and a method'))
        elif asked:
            self._take_request(message_id, method, message.get("params"))
        else:
            self._take_notification(method, message.get("params"))

    def fault(self, reason: str, framed: bool) -> None:
        """Answer bytes that were no message."""
        log.warning("bad input: %s", reason)
        error = JsonRpcParseError(reason) if framed else JsonRpcInvalidRequest(reason)
        self.refuse(None, error)

    def _take_request(self, message_id: int | str, method: str, params: JSON) -> None:
        try:
            self._check_state(message_id, method)
            handler = self._get_handler(method)
            result = self._call(handler, self._structure(method, params))
        except Exception as error:  # noqa: BLE001  (whatever breaks, the request is answered)
            self._answer_error(message_id, error)
            return
        if inspect.isawaitable(result):
            task: asyncio.Task[Any] = asyncio.ensure_future(result)
            self._running[message_id] = task
            task.add_done_callback(partial(self._settle, message_id))
        else:
            self._answer(message_id, result)

    def _check_state(self, message_id: int | str, method: str) -> None:
        if self._shutdown:
            raise JsonRpcInvalidRequest("the server is shutting down")
        initialized = self._workspace is not None
        if method == types.INITIALIZE:
            if initialized:
                raise JsonRpcInvalidRequest("initialize is sent once")
        elif not initialized:
            raise JsonRpcServerNotInitialized("initialize comes first")
        if message_id in self._running:
            raise JsonRpcInvalidRequest("this id is in use by a request that is still running")

    def _take_notification(self, method: str, params: JSON) -> None:
        if method != types.EXIT and (self._shutdown or self._workspace is None):
            return
        try:
            handler = self._get_handler(method)
            result = self._call(handler, self._structure(method, params))
        except JsonRpcMethodNotFound:
            log.debug("notification without a handler")
        except JsonRpcInvalidParams:
            log.warning("notification %s has wrong parameters and is ignored", method)
        except JsonRpcException as error:
            log.debug("notification %s is refused: %s", method, type(error).__name__)
        except Exception:
            log.exception("notification %s failed", method)
        else:
            if inspect.isawaitable(result):
                task: asyncio.Task[Any] = asyncio.ensure_future(result)
                self._notified.add(task)
                task.add_done_callback(self._notification_done)

    def _notification_done(self, task: "asyncio.Task[Any]") -> None:
        self._notified.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, JsonRpcException):
            log.debug("a notification is refused: %s", type(error).__name__)
        elif error is not None:
            log.error("a notification's task failed", exc_info=error)

    def _call(self, handler: Handler, params: object) -> JSON:
        if not inspect.isgeneratorfunction(handler):
            return handler(params)
        # pygls' own handlers are generators that yield (handler, arguments, keywords) to be called.
        steps: Generator[Any, Any, Any] = handler(params)
        value: Any = None
        while True:
            try:
                inner, arguments, _ = steps.send(value)
            except StopIteration as end:
                return end.value
            value = inner(*arguments)

    def _structure(self, method: str, params: JSON) -> JSON:
        kind = protocol.PARAMS.get(method)
        if kind is not None:
            return self._structure_own(params, kind)
        standard: Any = types.METHOD_TO_TYPES.get(method)
        if standard is None or standard[2] is None:
            return params
        try:
            return self._converter.structure(params, standard[2])
        except Exception as error:  # noqa: BLE001  (cattrs lets validators raise what they like)
            reasons = cattrs.transform_error(error, path="params", format_exception=_reason)
            raise JsonRpcInvalidParams("; ".join(reasons)) from None

    def _structure_own(self, params: JSON, kind: type[Any]) -> JSON:
        try:
            return msgspec.convert({} if params is None else params, kind)
        except msgspec.ValidationError as error:
            raise JsonRpcInvalidParams(str(error)) from None
        except UnicodeEncodeError:  # in a key or a name of ours
            raise JsonRpcInvalidParams("half of a surrogate pair where a name is needed") from None

    def _take_response(self, message: dict[str, Any]) -> None:
        message_id = message["id"]
        future = _popped(self._request_futures, message_id)
        if future is None or future.done():
            return
        kind = self._result_types.pop(message_id, None)
        error = message.get("error")
        try:
            if error is not None:
                refused = self._converter.structure(error, types.ResponseError)
                future.set_exception(JsonRpcException.from_error(refused))
            elif kind is None:
                future.set_result(message.get("result"))
            else:
                future.set_result(self._converter.structure(message, kind).result)
        except Exception:  # noqa: BLE001  (a client's nonsense must not stop the loop)
            future.set_exception(JsonRpcInvalidParams("the client's answer does not have the form it should"))

    # What runs

    def _settle(self, message_id: int | str, task: "asyncio.Task[Any]") -> None:
        if self._running.get(message_id) is not task:
            if not task.cancelled():
                task.exception()  # retrieved, so that asyncio doesn't report it
            return  # cancelled and answered already
        del self._running[message_id]
        if task.cancelled():
            self.refuse(message_id, JsonRpcRequestCancelled("cancelled"))
        elif (error := task.exception()) is not None:
            self._answer_error(message_id, error)
        else:
            self._answer(message_id, task.result())

    def _cancel(self, params: types.CancelParams) -> None:
        task = _popped(self._running, params.id)
        if task is not None:
            task.cancel()
            self.refuse(params.id, JsonRpcRequestCancelled("cancelled"))

    def _cancel_progress(self, params: types.WorkDoneProgressCancelParams) -> None:
        task = _popped(self._progress, params.token)
        if task is not None:
            task.cancel()

    def cancellable(self, token: int | str) -> None:
        """Let ``window/workDoneProgress/cancel`` of `token` cancel the task that calls this."""
        task = asyncio.current_task()
        if task is not None:
            self._progress[token] = task
            task.add_done_callback(lambda _task: self._progress.pop(token, None))

    def _execute_command(self, params: types.ExecuteCommandParams) -> JSON:
        handler = self.fm.commands.get(params.command)
        if handler is None:
            raise JsonRpcInvalidParams(f"there is no command {params.command!r}")
        arguments = list(params.arguments or [])
        if len(arguments) > 1:
            raise JsonRpcInvalidParams(f"{params.command} takes one argument, an object")
        return handler(
            self._structure_own(arguments[0] if arguments else None, protocol.COMMANDS[params.command])
        )

    def _shut_down(self, _params: None) -> None:
        for message_id in list(self._running):
            self._cancel(types.CancelParams(id=message_id))
        for future in self._request_futures.values():
            future.cancel()
        self._request_futures.clear()
        self._shutdown = True

    def _exit(self, _params: None) -> None:
        if self.stop is not None:
            self.stop()

    @property
    def was_shut_down(self) -> bool:
        """Whether the client said `shutdown`: then the process ends with 0, else with 1."""
        return self._shutdown

    def abandon(self) -> "list[asyncio.Task[Any]]":
        """Cancel everything that runs, without answers; return the tasks."""
        tasks = [*self._running.values(), *self._notified]
        self._running.clear()
        for task in tasks:
            task.cancel()
        for future in self._request_futures.values():
            future.cancel()
        return tasks

    # What goes out

    def refuse(self, message_id: int | str | None, error: JsonRpcException) -> None:
        """Answer a request with an error."""
        body: dict[str, Any] = {"code": error.code, "message": _short(error.message)}
        if error.data is not None:
            body["data"] = error.data
        self._write({"jsonrpc": self.VERSION, "id": message_id, "error": body})

    def _answer(self, message_id: int | str, result: object) -> None:
        try:
            self._write({"jsonrpc": self.VERSION, "id": message_id, "result": self.plain(result)})
        except Exception as error:  # noqa: BLE001  (an answer that can't be encoded is still answered)
            self._answer_error(message_id, error)

    def plain(self, value: object) -> JSON:
        """Return a protocol value as plain data; what is plain already stays as it is."""
        return value if isinstance(value, dict | msgspec.Struct) else self._converter.unstructure(value)

    def _answer_error(self, message_id: int | str, error: BaseException) -> None:
        if isinstance(error, JsonRpcException):
            self.refuse(message_id, error)
            return
        log.error("a request failed", exc_info=error)
        self.refuse(
            message_id, JsonRpcInternalError(f"internal error ({type(error).__name__}); the log has more")
        )

    def _send_data(self, data: object) -> None:
        self._write(self._converter.unstructure(data))

    def _write(self, message: dict[str, Any]) -> None:
        if self.outbox is not None:
            self.outbox.write(encode(message))

    def send_request_async(
        self, method: str, params: object = None, msg_id: int | str | None = None
    ) -> Awaitable[Any]:
        """Ask the client; the answer is awaited. Raises JsonRpcException when the client refuses."""
        future: Future[Any] = self.send_request(method, params=params, msg_id=msg_id)
        return asyncio.wrap_future(future)


def _popped(kept: dict[int | str, Kept], key: JSON) -> Kept | None:
    """Remove and return what is kept under a client's id or token, which may be anything."""
    return kept.pop(key, None) if isinstance(key, int | str) else None


def _short(message: str) -> str:
    """Return a message as long as somebody may read: it quotes what a client has sent."""
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"


def _reason(error: BaseException, kind: type[Any] | None) -> str:
    """Say what is wrong with a value without quoting it."""
    if isinstance(error, KeyError):
        return "required field missing"
    name = getattr(kind, "__name__", None)
    return f"not a valid {name}" if name else "not valid"
