"""What a terminal would have shown."""

import pytest

from anchorline.trim.terminal import shown


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("\x1b[1;31mFAILED\x1b[0m tests/a.py", "FAILED tests/a.py"),
        ("\x1b]0;title\x07ok\x1b(B", "ok"),
        (" 10%|# |\r 50%|## |\r100%|####|\ndone", "100%|####|\ndone"),
        ("Get a.tar 10%\rGet b.tar 10%\rGet b.tar 90%", "Get a.tar 10%\nGet b.tar 90%"),
        ("kept\roverwritten", "kept\noverwritten"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("pulling 1/9\npulling 2/9\npulling 9/9\nend", "pulling 9/9\nend"),
        ("test 1 ok\ntest 2 ok", "test 1 ok\ntest 2 ok"),
        ("x\n" * 5 + "y", "x\n[the line above 4 more times]\ny"),
        ("x\nx\ny", "x\nx\ny"),
        ("\n\n\n\n", "\n\n\n\n"),
        ("     1→import os\n    12→\tx", "1→import os\n12→\tx"),
        ("    return 1\n  - item", "    return 1\n  - item"),
        (
            "src/a.py:1:x\nsrc/a.py:9:y\nsrc/a.py-10-z\nsrc/b.py:2:w",
            "src/a.py:\n1:x\n9:y\n10-z\nsrc/b.py:2:w",
        ),
        ("http://x/y:80:a", "http://x/y:80:a"),
    ],
)
def test_it_is_what_stays_on_the_screen(text: str, short: str):
    assert shown(text) == short
    assert shown(short) == short


def test_a_very_long_number_is_no_progress_bar():
    number = "1" * 100_000  # not one that is looked at from each of its digits
    assert shown(f"{number}\n{number}0") == f"{number}\n{number}0"
