"""The log says where and what kind, never what the text was."""

import logging
import sys
from pathlib import Path

import pytest

from anchorline.live.logs import PINNED, SafeFormatter, configure


def record(name: str, message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord(name, logging.ERROR, "/site/pygls/io.py", 12, message, args, info)


def test_records_of_libraries_are_reduced_to_their_place():
    shown = SafeFormatter().format(record("pygls.protocol", "Sending data: %s", "the secret prompt"))
    assert "secret" not in shown
    assert "pygls.protocol: logged at io:12" in shown
    assert "secret" not in SafeFormatter().format(record("asyncio", "Task failed: <the secret prompt>"))


def test_records_of_our_own_are_shown_in_one_line():
    shown = SafeFormatter().format(record("anchorline.lsp.wire.stdio", "bad input: %s", "a\nb"))
    assert shown.endswith("error anchorline.lsp.wire.stdio: bad input: a\\nb")


def test_exceptions_show_their_type_and_places_but_not_their_message():
    try:
        {}["the secret prompt"]
    except KeyError as error:
        shown = SafeFormatter().format(record("anchorline.lsp", "failed", error=error))
    assert "KeyError" in shown
    assert f"{__file__}:" in shown
    assert "secret" not in shown


def test_an_operating_system_error_shows_its_number():
    try:
        Path("/no/such/secret/file").read_text()
    except OSError as error:
        shown = SafeFormatter().format(record("anchorline.lsp", "failed", error=error))
    assert "FileNotFoundError (errno 2)" in shown
    assert "secret" not in shown


@pytest.fixture
def logging_kept():
    root = logging.getLogger()
    kept = (
        root.handlers[:],
        root.level,
        sys.excepthook,
        {name: logging.getLogger(name).level for name in PINNED},
    )
    import threading

    thread_hook = threading.excepthook
    yield
    root.handlers[:], sys.excepthook = kept[0], kept[2]
    root.setLevel(kept[1])
    threading.excepthook = thread_hook
    logging.captureWarnings(capture=False)
    for name, level in kept[3].items():
        logging.getLogger(name).setLevel(level)


def test_even_at_debug_the_libraries_stay_quiet(logging_kept, capsys):
    configure("debug")
    logging.getLogger("pygls.protocol.json_rpc").info("Sending data: secret")
    logging.getLogger("anchorline.lsp").debug("ready")
    shown = capsys.readouterr().err
    assert "secret" not in shown
    assert "ready" in shown


def test_an_uncaught_exception_is_logged_without_its_message(logging_kept, capsys):
    configure("error")
    try:
        raise ValueError("the secret prompt")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    shown = capsys.readouterr().err
    assert "uncaught exception" in shown
    assert "ValueError" in shown
    assert "secret" not in shown
