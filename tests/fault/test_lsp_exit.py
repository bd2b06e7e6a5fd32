"""The server ends with its editor: whatever happens to either of them."""

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from support.lsp_client import LSP, PATIENCE, RawClient
from support.lsp_servers import SLOW


def test_the_end_of_stdin_ends_the_server(start):
    client = start()
    client.initialize()
    client.process.stdin.close()
    assert client.process.wait(PATIENCE) == 1


def test_the_end_of_stdin_after_shutdown_is_a_clean_end(start):
    client = start()
    client.initialize()
    client.call("shutdown")
    client.process.stdin.close()
    assert client.process.wait(PATIENCE) == 0


def test_the_end_of_stdin_in_the_middle_of_a_frame_ends_the_server(start):
    client = start()
    client.initialize()
    client.raw(b"Content-Length: 100\r\n\r\n{")
    client.process.stdin.close()
    assert client.process.wait(PATIENCE) == 1


@pytest.mark.parametrize("method", ["test/slow", "test/deaf", "test/hang"])
def test_the_end_of_stdin_ends_the_server_whatever_it_is_doing(start, method):
    client = start(SLOW)
    client.initialize()
    client.ask(method)
    client.process.stdin.close()
    assert client.process.wait(PATIENCE) == 1


def test_exit_ends_the_server_though_a_thread_still_works(slow):
    request = slow.ask("test/slow")
    slow.call("shutdown")
    assert slow.answer(request)["error"]["code"] == -32800
    slow.notify("exit")
    assert slow.process.wait(PATIENCE) == 0


def test_a_client_that_stops_reading_does_not_keep_the_server(start):
    """Its output pipe is full and its input closes: the server must not wait to write."""
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    server = subprocess.Popen(LSP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    silent = subprocess.Popen(command, stdin=server.stdout)
    try:
        server.stdout.close()
        unknown = b'{"jsonrpc":"2.0","id":1,"method":"%s"}' % (b"x" * 4000)
        for _ in range(100):
            server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(unknown), unknown))
        server.stdin.close()
        assert server.wait(PATIENCE) == 1
    finally:
        for process in (server, silent):
            process.kill()
            process.wait()


EDITOR = textwrap.dedent(
    """
    import subprocess, sys, time, os, json
    read, write = os.pipe()
    os.set_inheritable(write, True)
    server = subprocess.Popen([sys.executable, "-m", "anchorline.lsp"], stdin=read, stdout=subprocess.PIPE)
    # Another child inherits the pipe's end, so that it stays open when the editor dies.
    keeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"processId": os.getpid(), "rootUri": None, "capabilities": {}}}).encode()
    os.write(write, b"Content-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
    header = server.stdout.readline()
    print(server.pid, keeper.pid, header.decode().strip(), flush=True)
    time.sleep(600)
    """
)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_death_of_the_editor_ends_the_server_though_stdin_stays_open():
    editor = subprocess.Popen([sys.executable, "-c", EDITOR], stdout=subprocess.PIPE, text=True)
    server, keeper, header = editor.stdout.readline().split(maxsplit=2)
    assert header.startswith("Content-Length")
    watched = psutil.Process(int(server))
    try:
        os.kill(editor.pid, signal.SIGKILL)  # and nobody reaps it yet: a zombie is dead as well
        watched.wait(PATIENCE)
    except psutil.NoSuchProcess:
        pass
    finally:
        os.kill(int(keeper), signal.SIGKILL)
        editor.wait()
        editor.stdout.close()
    assert not psutil.pid_exists(int(server)) or watched.status() == psutil.STATUS_ZOMBIE


def test_an_editor_that_is_not_visible_is_not_taken_for_dead(start):
    """In a container the editor's id means nothing."""
    client = start()
    params = {"processId": 2**22 + 1, "rootUri": None, "capabilities": {}}
    client.call("initialize", params)
    client.notify("initialized", {})
    assert client.call("anchorline/status")
    assert client.shutdown() == 0


def test_interrupting_the_server_leaves_no_traceback(start):
    client = start()
    client.initialize()
    client.call("anchorline/status")
    client.process.send_signal(signal.SIGINT)
    assert client.process.wait(PATIENCE) == 130
    client.close()
    assert "Traceback" not in client.log


def test_kill_loses_no_acknowledged_outcome(start):
    client = start()
    client.initialize()
    plan = client.call("anchorline/plan", {"prompt": {"body": "Fix the parser in src/parse.py."}})
    acknowledged = []
    for number in range(30):
        answer = client.call(
            "anchorline/outcome",
            {"planId": plan["id"], "decision": "accepted", "usage": {"input": number}, "latencyMs": number},
        )
        assert answer == {"recorded": True}
        acknowledged.append(number)
    client.process.kill()
    client.close()
    assert recorded("SELECT input_tokens FROM outcomes") >= set(acknowledged)


def test_two_servers_on_one_database_lose_nothing(start):
    clients: list[RawClient] = [start(), start()]
    asked = []
    for client in clients:
        client.initialize()
    for number in range(20):
        for side, client in enumerate(clients):
            params = {"planId": f"plan-{side}", "usage": {"input": side * 1000 + number}}
            asked.append((client, client.ask("anchorline/outcome", params), side * 1000 + number))
    for client, request, _ in asked:
        assert client.answer(request)["result"] == {"recorded": True}
    for client in clients:
        assert client.shutdown() == 0
    assert recorded("SELECT input_tokens FROM outcomes") >= {number for _, _, number in asked}


def recorded(query: str) -> set:
    import sqlite3
    from contextlib import closing

    from anchorline.store.database import locate

    with closing(sqlite3.connect(locate())) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {row[0] for row in connection.execute(query)}
