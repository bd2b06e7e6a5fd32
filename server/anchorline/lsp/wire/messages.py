"""JSON-RPC under the language server: each request gets exactly one response.

pygls supplies the typed calls to the client, the registration of features and the capabilities. How messages
are decoded, checked, run, cancelled and answered is written here, because pygls 2.1 drops requests with a
nested ``"jsonrpc"`` key, answers nothing after `shutdown` or to wrong parameters, and logs what it sends.
"""

import asyncio
import inspect
import logging
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple, TypeVar

import cattrs
import msgspec
from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder
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
from anchorline.lsp.wire.stdio import MessageWriter, encode

Handler = Callable[[Any], Any]
Structured = TypeVar("Structured")
Value = TypeVar("Value")
log = logging.getLogger(__name__)

LONGEST_MESSAGE = 400
"""Characters of an error message."""


class RequestFailed(JsonRpcException):
    """A request that is right but can't be met; the message says why, for the developer."""

    CODE = -32803
    MESSAGE = "Request failed"


class Outgoing(NamedTuple):
    """A request to the client that waits for its response. `kind` is the response's type; None is any JSON."""

    future: Future[Any]
    kind: type[Any] | None


class Protocol(LanguageServerProtocol):
    """One client's messages. Everything runs on the event loop.

    `on_initialize` is called with the parameters of `initialize` before it is answered, `on_exit` at `exit`.
    """

    outbox: MessageWriter | None = None
    on_initialize: Callable[[types.InitializeParams], None] | None = None
    on_exit: Callable[[], None] | None = None

    def __init__(self, server: LanguageServer, converter: cattrs.Converter) -> None:
        super().__init__(server, converter)
        self.converter = converter
        self.is_initialized = False
        self.was_shut_down = False
        """Whether the client said `shutdown`: then the process ends with 0, else with 1."""
        self._inbox: deque[Callable[[], None]] = deque()
        self._starting = False
        self._running: dict[int | str, asyncio.Task[Any]] = {}
        self._notified: set[asyncio.Task[Any]] = set()
        self._progress: dict[int | str, asyncio.Task[Any]] = {}
        self._outgoing: dict[int | str, Outgoing] = {}
        self.fm.builtin_features.clear()  # pygls would keep a second copy of each document
        self.fm.builtin_features.update(
            {
                types.INITIALIZE: self._initialize,
                types.SHUTDOWN: self._shut_down,
                types.EXIT: self._exit,
                types.SET_TRACE: lambda _params: None,
                types.CANCEL_REQUEST: self._cancel,
                types.WINDOW_WORK_DONE_PROGRESS_CANCEL: self._cancel_progress,
                types.WORKSPACE_EXECUTE_COMMAND: self._execute_command,
            }
        )

    # What comes in

    def receive(self, message: JSON) -> None:
        """Takes one decoded message in its turn. Never raises."""
        self.in_turn(partial(self._receive, message))

    def fault(self, reason: str, framed: bool) -> None:
        """Answers bytes that were no message, in their turn."""
        self.in_turn(partial(self._refuse_fault, reason, framed))

    def in_turn(self, work: Callable[[], None]) -> None:
        """Does `work` once each message before it has reached its handler, and that handler its first `await`.

        So a handler reads the state that the client saw as it sent the message: the changes behind it come later.
        """
        self._inbox.append(work)
        self._take_turns()

    def _take_turns(self) -> None:
        while self._inbox and not self._starting:
            self._inbox.popleft()()

    def _start(self, handling: Awaitable[Any]) -> "asyncio.Task[Any]":
        """Returns the task of a handler; the next message is taken when it has run up to its first `await`."""
        task: asyncio.Task[Any] = asyncio.ensure_future(handling)
        self._starting = True
        asyncio.get_running_loop().call_soon(self._started)  # the task's first step is in the loop before it
        return task

    def _started(self) -> None:
        self._starting = False
        self._take_turns()

    def _receive(self, message: JSON) -> None:
        if not isinstance(message, dict):
            self.refuse(None, JsonRpcInvalidRequest("a message is one JSON object; there are no batches"))
            return
        method: JSON = message.get("method")
        message_id: JSON = message.get("id")
        if method is None and message_id is not None and ("result" in message or "error" in message):
            self._take_response(message)
            return
        is_request = "id" in message
        if is_request and (not isinstance(message_id, int | str) or isinstance(message_id, bool)):
            self.refuse(None, JsonRpcInvalidRequest("an id is an integer or a string"))
        elif not isinstance(method, str) or message.get("jsonrpc") != self.VERSION:
            self.refuse(message_id, JsonRpcInvalidRequest('a message has "jsonrpc": "2.0" and a method'))
        elif is_request:
            self._take_request(message_id, method, message.get("params"))
        else:
            self._take_notification(method, message.get("params"))

    def _refuse_fault(self, reason: str, framed: bool) -> None:
        log.warning("bad input: %s", reason)
        self.refuse(None, JsonRpcParseError(reason) if framed else JsonRpcInvalidRequest(reason))

    def _take_request(self, message_id: int | str, method: str, params: JSON) -> None:
        try:
            self._check_state(message_id, method)
            result = self._handler(method)(self._structure(method, params))
        except Exception as error:  # noqa: BLE001  (whatever breaks, the request is answered)
            self._answer_error(message_id, error)
            return
        if inspect.isawaitable(result):
            task = self._start(result)
            self._running[message_id] = task
            task.add_done_callback(partial(self._settle, message_id))
        else:
            self._answer(message_id, result)

    def _check_state(self, message_id: int | str, method: str) -> None:
        if self.was_shut_down:
            raise JsonRpcInvalidRequest("the server is shutting down")
        if method == types.INITIALIZE:
            if self.is_initialized:
                raise JsonRpcInvalidRequest("initialize is sent once")
        elif not self.is_initialized:
            raise JsonRpcServerNotInitialized("initialize comes first")
        if message_id in self._running:
            raise JsonRpcInvalidRequest("this id is in use by a request that is still running")

    def _take_notification(self, method: str, params: JSON) -> None:
        if method != types.EXIT and (self.was_shut_down or not self.is_initialized):
            return
        try:
            result = self._handler(method)(self._structure(method, params))
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
                task = self._start(result)
                self._notified.add(task)
                task.add_done_callback(self._notification_done)

    def _notification_done(self, task: "asyncio.Task[Any]") -> None:
        self._notified.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, JsonRpcException):
            log.debug("a notification is refused: %s", type(error).__name__)
        elif error is not None:
            log.error("a notification's task failed", exc_info=error)

    def _handler(self, method: str) -> Handler:
        handler: Handler | None = self.fm.builtin_features.get(method) or self.fm.features.get(method)
        if handler is None:
            raise JsonRpcMethodNotFound.of(method)
        return handler

    def _structure(self, method: str, params: JSON) -> JSON:
        kind = protocol.PARAMS.get(method)
        if kind is not None:
            return self._structure_own(params, kind)
        standard: Any = types.METHOD_TO_TYPES.get(method)
        if standard is None or standard[2] is None:
            return params
        try:
            return self.converter.structure(params, standard[2])
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
        outgoing = _popped(self._outgoing, message_id)
        if outgoing is None or outgoing.future.done():
            return
        future, kind = outgoing
        error = message.get("error")
        try:
            if error is not None:
                refusal = self.converter.structure(error, types.ResponseError)
                future.set_exception(JsonRpcException.from_error(refusal))
            elif kind is None:
                future.set_result(message.get("result"))
            else:
                future.set_result(self.converter.structure(message, kind).result)
        except Exception:  # noqa: BLE001  (a client's nonsense must not stop the loop)
            future.set_exception(JsonRpcInvalidParams("the client's answer does not have the form it should"))

    # What runs

    def _initialize(self, params: types.InitializeParams) -> types.InitializeResult:
        if self.on_initialize is not None:
            self.on_initialize(params)
        self.client_capabilities = params.capabilities
        builder = ServerCapabilitiesBuilder(
            params.capabilities,
            {*self.fm.features, *self.fm.builtin_features},
            self.fm.feature_options,
            list(self.fm.commands),
            types.TextDocumentSyncKind.Incremental,
            None,
            ServerCapabilitiesBuilder.choose_position_encoding(params.capabilities),
        )
        self.server_capabilities = builder.build()  # type: ignore[no-untyped-call]
        self.is_initialized = True
        return types.InitializeResult(self.server_capabilities, self.server_info)

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
        """Lets ``window/workDoneProgress/cancel`` of `token` cancel the task that calls this."""
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
        self._give_up_outgoing()
        self.was_shut_down = True

    def _give_up_outgoing(self) -> None:
        for outgoing in self._outgoing.values():
            outgoing.future.cancel()
        self._outgoing.clear()

    def _exit(self, _params: None) -> None:
        if self.on_exit is not None:
            self.on_exit()

    def abandon(self) -> "list[asyncio.Task[Any]]":
        """Cancels everything that runs, without responses; returns the tasks."""
        tasks = [*self._running.values(), *self._notified]
        self._running.clear()
        for task in tasks:
            task.cancel()
        self._give_up_outgoing()
        return tasks

    # What goes out

    def refuse(self, message_id: int | str | None, error: JsonRpcException) -> None:
        """Answers a request with an error."""
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
        """Returns a protocol value as plain data; what is plain already stays as it is."""
        return value if isinstance(value, dict | msgspec.Struct) else self.converter.unstructure(value)

    def _answer_error(self, message_id: int | str, error: BaseException) -> None:
        if isinstance(error, JsonRpcException):
            self.refuse(message_id, error)
            return
        log.error("a request failed", exc_info=error)
        self.refuse(
            message_id, JsonRpcInternalError(f"internal error ({type(error).__name__}); the log has more")
        )

    def structured(self, value: JSON, kind: type[Structured]) -> Structured:
        """Returns plain data as a protocol value."""
        result: Structured = self.converter.structure(value, kind)
        return result

    def notify(self, method: str, params: object = None) -> None:
        """Sends a notification."""
        message: dict[str, Any] = {"jsonrpc": self.VERSION, "method": method}
        self._send(message, params)

    def send_request(
        self,
        method: str,
        params: object = None,
        callback: Callable[[Any], None] | None = None,
        msg_id: int | str | None = None,
    ) -> Future[Any]:
        """Sends a request to the client. The future of its result raises JsonRpcException where the client refuses."""
        message_id = str(uuid.uuid4()) if msg_id is None else msg_id
        future: Future[Any] = Future()
        if callback is not None:
            future.add_done_callback(lambda done: callback(done.result()))
        self._outgoing[message_id] = Outgoing(future, self.get_result_type(method))
        self._send({"jsonrpc": self.VERSION, "id": message_id, "method": method}, params)
        return future

    def _send(self, message: dict[str, Any], params: object) -> None:
        if params is not None:
            message["params"] = self.converter.unstructure(params)
        self._write(message)

    def _write(self, message: dict[str, Any]) -> None:
        if self.outbox is not None:
            self.outbox.write(encode(message))


def _popped(values: dict[int | str, Value], key: JSON) -> Value | None:
    """Removes and returns the value of a client's id or token, which may be anything."""
    return values.pop(key, None) if isinstance(key, int | str) else None


def _short(message: str) -> str:
    """Returns a message cut to what somebody may read: it quotes what a client has sent."""
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 1] + "…"


def _reason(error: BaseException, kind: type[Any] | None) -> str:
    """Returns what is wrong with a value without quoting it."""
    if isinstance(error, KeyError):
        return "required field missing"
    name = getattr(kind, "__name__", None)
    return f"not a valid {name}" if name else "not valid"
