"""What a model is told: the built-in files, and the user's own over them."""

from pathlib import Path

import pytest

from anchorline.refine import templates
from anchorline.refine.templates import TemplateError, load


def test_each_family_has_its_file_and_every_other_model_the_default():
    assert load("smollm2-135m") != load("qwen3-1.7b")
    assert load("unheard-of") == load("default")
    built_in = Path(templates.__file__).parent
    for path in built_in.glob("*.toml"):
        template = load(path.stem)
        assert template.instruction.strip()
        assert "DRAFT" in template.filled("DRAFT", "")


def test_facts_stand_where_the_template_has_them_and_only_if_there_are_any():
    template = templates.Template("x", "{facts}{draft}", "In the editor: {facts}\n")
    assert template.filled("fix this", "`a` in `b.py:1`") == "In the editor: `a` in `b.py:1`\nfix this"
    assert template.filled("fix this", "") == "fix this"
    assert template.filled("print {facts} and {draft}", "f") == "In the editor: f\nprint {facts} and {draft}"


def test_a_file_of_the_users_own_counts_first_and_the_longest_name_wins(tmp_path: Path):
    (tmp_path / "smollm2.toml").write_text('instruction = "own"\n', "utf-8")
    (tmp_path / "smollm2-360m.toml").write_text('instruction = "larger"\n', "utf-8")
    assert load("smollm2-135m", str(tmp_path)).instruction == "own"
    assert load("smollm2-360m", str(tmp_path)).instruction == "larger"
    assert load("qwen3-1.7b", str(tmp_path)) == load("qwen3-1.7b")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("instruction = 3", "instruction"),
        ("[", "smollm2.toml"),
        ('instruction = "x"\nother = 1', "other"),
        ('instruction = "x"\ntext = "no place"', "text: holds no {draft}"),
    ],
)
def test_a_file_that_can_not_be_used_is_named_with_what_is_wrong(tmp_path: Path, text: str, named: str):
    (tmp_path / "smollm2.toml").write_text(text, "utf-8")
    with pytest.raises(TemplateError) as caught:
        load("smollm2-135m", str(tmp_path))
    assert str(tmp_path / "smollm2.toml") in str(caught.value)
    assert named in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(TemplateError, match="nowhere"):
        load("smollm2-135m", str(tmp_path / "nowhere"))
