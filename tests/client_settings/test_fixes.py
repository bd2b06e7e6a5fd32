"""Fixes of settings files: what is edited, what is kept, and undo, byte for byte."""

import itertools
import json
import os
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.client_settings import fixes
from anchorline.client_settings.document import UnwritableError
from anchorline.client_settings.edits import SettingEdit, edited_files
from anchorline.client_settings.fixes import UndoError

JSON = b'{\n  // mine\n  "model": "opus", // kept\n  "env": {"A": "1"}\n}\n'
TOML = b'# mine\nmodel = "gpt-5.4"  # kept\n\n[tui]\ntheme = "dark"\n'


def fix(file: Path, data: Path, *keys: str, value: object = "1h") -> fixes.AppliedFix:
    return fixes.apply("A fix", edited_files([SettingEdit(str(file), keys, value)]), data)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize(("name", "content"), [("settings.json", JSON), ("config.toml", TOML)])
def test_an_edit_changes_its_own_lines_only_and_undo_gives_every_byte_back(
    tmp_path: Path, data: Path, name: str, content: bytes, ended: bool, windows: bool, marked: bool
):
    content = content if ended else content.removesuffix(b"\n")
    content = content.replace(b"\n", b"\r\n") if windows else content
    content = b"\xef\xbb\xbf" + content if marked else content
    file = tmp_path / name
    file.write_bytes(content)
    fix(file, data, "promptCacheTtl")
    after = file.read_bytes()
    lines = [line.strip(b"\r\n,") for line in after.splitlines()]
    for line in content.splitlines():
        assert line.strip(b"\r\n,").replace(b", //", b" //") in [
            kept.replace(b", //", b" //") for kept in lines
        ]
    assert sum(b"promptCacheTtl" in line for line in lines) == 1
    assert (b"\n" in after.replace(b"\r\n", b"")) is not windows
    assert after.startswith(b"\xef\xbb\xbf") is marked
    fixes.undo(None, data)
    assert file.read_bytes() == content


@pytest.mark.parametrize("name", ["settings.json", "config.toml"])
def test_a_file_that_was_not_there_is_made_and_goes_again_with_its_folders(
    tmp_path: Path, data: Path, name: str
):
    file = tmp_path / "home" / ".agent" / "deep" / name
    fix(file, data, "a", "b")
    assert b"1h" in file.read_bytes()
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
    fixes.undo(None, data)
    assert not (tmp_path / "home" / ".agent").exists()


def test_a_folder_that_something_else_is_in_by_now_stays(tmp_path: Path, data: Path):
    file = tmp_path / "home" / ".agent" / "deep" / "settings.json"
    fix(file, data, "a")
    (file.parent.parent / "notes").write_text("mine")
    fixes.undo(None, data)
    assert not file.parent.exists()
    assert (file.parent.parent / "notes").read_text() == "mine"


def test_a_link_to_a_dotfile_stays_one_and_the_mode_stays(tmp_path: Path, data: Path):
    (tmp_path / "dotfiles").mkdir()
    target, link = tmp_path / "dotfiles" / "claude.json", tmp_path / "settings.json"
    target.write_bytes(JSON)
    target.chmod(0o640)
    link.symlink_to(target)
    fix(link, data, "promptCacheTtl")
    assert link.is_symlink()
    assert b"promptCacheTtl" in target.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o640
    fixes.undo(None, data)
    assert link.is_symlink()
    assert target.read_bytes() == JSON
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_dangling_link_leads_to_a_new_file_and_dangles_again(tmp_path: Path, data: Path):
    target, link = tmp_path / "dotfiles" / "claude.json", tmp_path / "settings.json"
    link.symlink_to(target)
    fix(link, data, "a")
    assert json.loads(target.read_text()) == {"a": "1h"}
    fixes.undo(None, data)
    assert link.is_symlink()
    assert not target.parent.exists()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_copies_are_for_their_owner_alone_and_go_with_the_undo(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    file.chmod(0o644)
    fix(file, data, "a")
    kept = [path for path in (data / "fixes").rglob("*") if path.is_file()]
    assert {path.read_bytes() for path in kept} >= {JSON}
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}
    assert (data / "fixes").stat().st_mode & 0o777 == 0o700
    fixes.undo(None, data)
    assert JSON not in {path.read_bytes() for path in (data / "fixes").rglob("*") if path.is_file()}


def test_a_read_only_file_is_refused_and_nothing_is_kept(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    file.chmod(0o444)
    with pytest.raises(UnwritableError, match="read-only"):
        fix(file, data, "a")
    assert file.read_bytes() == JSON
    assert file.stat().st_mode & 0o777 == 0o444
    assert fixes.history(data) == []


def test_a_file_made_read_only_since_is_not_undone_until_it_is_writable(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    fix(file, data, "a")
    file.chmod(0o444)
    with pytest.raises(UnwritableError, match="read-only"):
        fixes.undo(None, data)
    assert fixes.history(data)[0].undone is None
    file.chmod(0o644)
    fixes.undo(None, data)
    assert file.read_bytes() == JSON


def test_of_a_file_edited_by_hand_only_the_own_setting_is_taken_back(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    fix(file, data, "model", value="sonnet")
    file.write_bytes(file.read_bytes().replace(b'"A": "1"', b'"A": "2"').replace(b"// mine", b"// ours"))
    fixes.undo(None, data)
    assert file.read_bytes() == JSON.replace(b'"A": "1"', b'"A": "2"').replace(b"// mine", b"// ours")


def test_a_setting_changed_by_hand_since_is_refused_with_what_to_do(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    fix(file, data, "model", value="sonnet")
    by_hand = file.read_bytes().replace(b"sonnet", b"haiku")
    file.write_bytes(by_hand)
    with pytest.raises(
        UndoError, match=r'model is "haiku" now\. The fix had set "sonnet", before that it was "opus"'
    ):
        fixes.undo(None, data)
    assert file.read_bytes() == by_hand
    assert fixes.history(data)[0].undone is None


def test_a_setting_put_back_by_hand_needs_no_more(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    fix(file, data, "model", value="sonnet")
    file.write_bytes(JSON + b"\n")
    fixes.undo(None, data)
    assert file.read_bytes() == JSON + b"\n"


def test_a_file_that_is_gone_stays_gone(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    fix(file, data, "model", value="sonnet")
    file.unlink()
    fixes.undo(None, data)
    assert not file.exists()


def test_a_later_fix_of_the_same_setting_goes_first_where_the_file_was_edited_by_hand(
    tmp_path: Path, data: Path
):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    fix(file, data, "model", value="sonnet")
    fix(file, data, "model", value="haiku")
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(UndoError, match="anchorline undo 2"):
        fixes.undo(1, data)
    fixes.undo(2, data)
    fixes.undo(1, data)
    assert file.read_bytes() == JSON + b"\n"


def test_a_fix_of_two_files_is_made_whole_or_not_at_all(tmp_path: Path, data: Path):
    first, second = tmp_path / "settings.json", tmp_path / "config.toml"
    first.write_bytes(JSON)
    second.write_bytes(TOML)
    made = edited_files([SettingEdit(str(first), ("a",), 1), SettingEdit(str(second), ("a",), 1)])
    second.write_bytes(TOML + b"\n")  # by another program, in the meantime
    with pytest.raises(UnwritableError, match="another program"):
        fixes.apply("Both", made, data)
    assert (first.read_bytes(), second.read_bytes()) == (JSON, TOML + b"\n")
    assert fixes.history(data) == []


def test_what_stands_in_the_way_is_not_replaced(tmp_path: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(b'{"env": "a text"}')
    with pytest.raises(UnwritableError, match=r'env is "a text", which env\.A would replace'):
        edited_files([SettingEdit(str(file), ("env", "A"), "1")])


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff", b'{"a": 1.2.3}'])
def test_a_file_that_is_not_what_its_name_says_is_left_alone(tmp_path: Path, content: bytes):
    file = tmp_path / "settings.json"
    file.write_bytes(content)
    with pytest.raises(UnwritableError, match=re.escape(str(file))):
        edited_files([SettingEdit(str(file), ("a",), "1")])
    assert file.read_bytes() == content


def test_a_setting_that_is_in_force_changes_nothing(tmp_path: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(JSON)
    assert edited_files([SettingEdit(str(file), ("model",), "opus")]) == []


def test_undo_without_a_number_takes_the_newest_that_is_in_force(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    for number in (1, 2, 3):
        fix(file, data, f"key{number}")
    fixes.undo(2, data)
    assert fixes.undo(None, data).number == 3
    assert fixes.undo(None, data).number == 1
    with pytest.raises(UndoError, match="nothing to undo"):
        fixes.undo(None, data)
    with pytest.raises(UndoError, match="undone already"):
        fixes.undo(2, data)
    with pytest.raises(UndoError, match="no fix 9"):
        fixes.undo(9, data)


def test_a_fix_that_a_later_one_rests_on_goes_after_it(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    file.write_bytes(b'{"env": "a text"}')
    fix(file, data, "env", value=None)
    fix(file, data, "env", "A")
    with pytest.raises(UndoError, match="Undo it first: anchorline undo 2"):
        fixes.undo(1, data)
    fixes.undo(2, data)
    fixes.undo(1, data)
    assert file.read_bytes() == b'{"env": "a text"}'


KEYS = st.lists(st.sampled_from(["a", "b", "model", "env"]), min_size=1, max_size=3).map(tuple)
VALUES = st.sampled_from(["1h", True, 3, None, {"x": [1, "two"]}])
STARTS = {
    "settings.json": [None, b"", b"{}", b"{}\n", JSON, JSON.rstrip(), b'{"a": {"b": 1,},}', b'{\r\n\t"a": 1\r\n}'],
    "config.toml": [
        None, b"", TOML, TOML.rstrip(), TOML.replace(b"\n", b"\r\n"), b'a.b = 1\n[env]\nx = "y"\n', b"[a]\nb = 1\n[a.model]\nx = 1",
    ],
}  # fmt: skip


@given(st.data(), st.sampled_from(sorted(STARTS)), st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4))
def test_fixes_are_undone_in_any_order(tmp_path_factory, data, name, edits):
    folder = tmp_path_factory.mktemp("undo")
    file, kept = folder / "home" / name, folder / "data"
    start = data.draw(st.sampled_from(STARTS[name]))
    if start is not None:
        file.parent.mkdir()
        file.write_bytes(start)
    read = json_values if name.endswith("json") else toml_values
    numbers = []
    for keys, value in edits:
        try:
            made = edited_files([SettingEdit(str(file), keys, value)])
        except UnwritableError:
            continue
        before = read(file)
        if made:
            numbers.append(fixes.apply("A fix", made, kept).number)
            assert read(file) == with_value(before, keys, value)
    for number in data.draw(st.permutations(numbers)):
        try:
            fixes.undo(number, kept)
        except UndoError:  # an earlier one had made room for a later one: that one goes first
            break
    for undone in reversed([fix.number for fix in fixes.history(kept) if fix.undone is None]):
        fixes.undo(undone, kept)
    assert (file.read_bytes() if file.exists() else None) == start
    assert file.parent.exists() is (start is not None)


@given(st.data(), st.sampled_from(sorted(STARTS)), KEYS, VALUES)
def test_a_hand_s_edit_survives_undo(tmp_path_factory, data, name, keys, value):
    folder = tmp_path_factory.mktemp("hand")
    file, kept = folder / name, folder / "data"
    start = data.draw(st.sampled_from([one for one in STARTS[name] if one is not None]))
    file.write_bytes(start)
    read = json_values if name.endswith("json") else toml_values
    before = read(file)
    try:
        made = edited_files([SettingEdit(str(file), keys, value)])
        by_hand = SettingEdit(str(file), ("mine", "own"), 7)
        if not made:
            return
        fixes.apply("A fix", made, kept)
        file.write_bytes(edited_files([by_hand])[0].after)
    except UnwritableError:
        return
    fixes.undo(None, kept)
    assert read(file) == {**before, "mine": {"own": 7}}


def json_values(file: Path) -> dict:
    text = file.read_text("utf-8") if file.exists() else ""
    bare = re.sub(r",(\s*[}\]])", r"\1", re.sub(r"//.*", "", text))
    return json.loads(bare) if bare.strip() else {}


def toml_values(file: Path) -> dict:
    return tomllib.loads(file.read_text("utf-8").removeprefix("\ufeff")) if file.exists() else {}


def with_value(values: dict, keys: tuple[str, ...], value: object) -> dict:
    wanted = json.loads(json.dumps(values))
    inner = wanted
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
    if value is None:
        inner.pop(keys[-1], None)
    else:
        inner[keys[-1]] = value
    return wanted


def test_two_fixes_of_one_file_are_undone_in_either_order(tmp_path: Path, data: Path):
    file = tmp_path / "settings.json"
    for order in itertools.permutations((0, 1)):
        file.write_bytes(JSON)
        numbers = [fix(file, data, "promptCacheTtl").number, fix(file, data, "env", "B").number]
        for index in order:
            fixes.undo(numbers[index], data)
        assert file.read_bytes() == JSON
