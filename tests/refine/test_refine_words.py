"""Spelling and languages."""

import re

import pytest

from anchorline.refine.language import english, language
from anchorline.refine.spelling import correction
from anchorline.refine.words import common, known, misspellings


def test_the_table_leads_from_no_word_to_words() -> None:
    assert len(misspellings()) > 500
    for wrong, right in misspellings().items():
        assert wrong not in common(), wrong
        assert all(known(word) for word in re.sub(r"n't|'re", "", right).split() if len(word) > 5), right


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("posibility", "possibility"), ("skiped", "skipped"), ("actualy", "actually"), ("sesisons", "sessions"),
     ("confusig", "confusing"), ("remoove", "remove"), ("fucntion", "function")],
)  # fmt: skip
def test_a_sure_misspelling_has_one_correction(wrong: str, right: str) -> None:
    assert correction(wrong) == right


@pytest.mark.parametrize(
    "word",
    ["parser", "rerender", "debounced", "linting", "colour", "realise", "kubernetes", "mixins", "scrypt", "cruft",
     "inglorious", "plae", "xyzzyq", "noice", "thse"],
)  # fmt: skip
def test_words_names_and_doubtful_spellings_have_none(word: str) -> None:
    assert correction(word) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("the list of users that is not sorted", "en"),
        ("die Liste der Benutzer ist nicht sortiert und das", "de"),
        ("la liste des fichiers que vous avez est dans le dossier", "fr"),
        ("la lista de los usuarios que debe ser para el panel", "es"),
        ("het bestand is niet goed voor een van deze lijsten die zijn", "nl"),
        ("дан список операций", "cyrillic"),
        ("רשימה של מספרים", "hebrew"),
        ("操作的列表", "han"),
        ("ok", None),
        ("42", None),
    ],
)
def test_a_language_is_named_only_when_sure(text: str, code: str | None) -> None:
    assert language(text) == code


@pytest.mark.parametrize("text", ["fix teh bug", "Don't do this", "Update the importer, please", "add tests"])
def test_english_is_known_by_its_words(text: str) -> None:
    assert english(text)


@pytest.mark.parametrize(
    "text", ["", "42", "behebe den Fehler", "corrige la fonction", "исправь", "xq zrt wvb"]
)
def test_anything_else_is_not_edited_as_english(text: str) -> None:
    assert not english(text)
