"""What a terminal shows: colours and overwritten states go, with a mark; whatever is not sure stays."""

import pytest

from anchorline.trim.commands import drawn
from anchorline.trim.marks import Rendered
from anchorline.trim.terminal import rendered


@pytest.mark.parametrize(
    ("text", "shown", "gone"),
    [
        ("\x1b[1;31mFAILED\x1b[0m tests/a.py", "FAILED tests/a.py", Rendered(2, 0)),
        (" 10%|# |\r 50%|## |\r100%|####|\ndone", "100%|####|\ndone", Rendered(0, 2)),
        ("Get 10%\rGet 20%\r\nnext", "Get 20%\r\nnext", Rendered(0, 1)),
        ("remote: 10%\x1b[K\rremote: done\x1b[K\n", "remote: done\n", Rendered(0, 1)),
        ("a long state\r\x1b[Kdone", "done", Rendered(0, 1)),
        ("a long state\r\x1b[2Kdone", "done", Rendered(0, 1)),
        ("a 1\nb 1\n\x1b[2A\x1b[2Ka 2\n\x1b[2Kb 2\n", "a 2\nb 2\n", Rendered(0, 2)),
        ("a 1\nb 1\n\x1b[2A\x1b[Ja 2\n", "a 2\n", Rendered(0, 2)),
        ("\x1b[?25l\x1b[32m1/2\x1b[0m\r\x1b[32m2/2\x1b[0m\x1b[?25h\r\nok", "2/2\r\nok", Rendered(4, 1)),
        ("█▏  |\r██▏ |\n", "██▏ |\n", Rendered(0, 1)),
    ],
)
def test_it_is_what_stays_on_the_screen(text: str, shown: str, gone: Rendered):
    assert rendered(text) == (shown, gone)


@pytest.mark.parametrize(
    "text",
    [
        "plain text\nof two lines",
        "a\r\nb\r\n",
        "kept as a whole\rshort",  # the end of the first stays on the screen
        "下载\r50",  # how wide it is depends on the terminal
        "a\tb\rabcd",
        "abc\x1b[5Cd",
        "\x1b]0;title\x07ok",
        "\x1b[2J\x1b[Hscreen",
        "ab\x08c",
        "\x1b[31munfinished \x1b[",
        "x" * 100 + "\n\x1b[1A\x1b[2Kshort",  # may be two rows
        "\x9b31mred",
    ],
)
def test_what_is_not_sure_stays(text: str):
    assert rendered(text) is None


@pytest.mark.parametrize(
    "command",
    [
        "pip install -r requirements.txt",
        "cd app && npm ci 2>&1 | tail -20",
        "python -m pip install x >/dev/null 2>&1; git fetch",
        "sudo apt-get install -y curl",
        "uv pip install x",
        "docker pull alpine",
    ],
)
def test_commands_that_draw(command: str):
    assert drawn(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "cat log.txt",
        "npm install && cat log.txt",
        "npm install; sed -n 1,20p log.txt",
        "npm install & cat log.txt",
        "npm install # ok && x\ncat log.txt",
        "pip install git+https://x#egg=y && cat log.txt",
        "pip install x | tail -5 log.txt",
        "tail -5",
        "cd app",
        "git show HEAD",
        "git -C other log",
        "npm run build",
        "pip install $(cat names)",
        "pip install `cat names`",
        "pip install x < names",
        "pip install x <<EOF\nEOF",
        "(pip install x)",
        "pip install 'x",
        "env pip install x",
        "make",
        "pytest",
        "pip install x | tee log.txt",
        "pip install x |& cat",
    ],
)
def test_commands_that_may_show_a_file(command: str):
    assert not drawn(command)
