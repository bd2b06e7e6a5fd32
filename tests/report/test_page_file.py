"""Pages are written in one step, and never through a link."""

import stat
from pathlib import Path

from anchorline.report import page_file


def test_a_link_in_the_place_of_a_page_is_replaced_and_not_followed(tmp_path: Path):
    mine = tmp_path / "mine"
    mine.write_text("mine", "utf-8")
    page = tmp_path / "report.html"
    page.symlink_to(mine)
    page_file.write(page, "<p>naïve</p>")
    assert mine.read_text("utf-8") == "mine"
    assert not page.is_symlink()
    assert page.read_text("utf-8") == "<p>naïve</p>"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["home", "mine", "report.html"]


def test_a_device_is_written_to(tmp_path: Path):
    page_file.write(Path("/dev/null"), "nothing")
    assert Path("/dev/null").is_char_device()
