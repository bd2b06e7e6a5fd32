"""What stands in a page is text, whatever it holds, and a chart shows its data."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from anchorline.report.html import Html, element
from anchorline.report.page import bar, document, lines, table

HOSTILE = "</style><script>alert('\"&')</script>"


class Parsed(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_text_and_attributes_come_out_as_they_went_in(text: str):
    parsed = Parsed(element("p", text, title=text))
    assert parsed.tags == [("p", {"title": text})]
    assert parsed.text == text


def test_a_page_of_hostile_names_has_no_script():
    parsed = Parsed(document(HOSTILE, table((HOSTILE, "n"), [(HOSTILE, Html("<b>1</b>"))], figures=[1])))
    assert "script" not in [tag for tag, _ in parsed.tags]
    assert parsed.text.count(HOSTILE) == 4
    assert ("b", {}) in parsed.tags


def test_a_bar_is_as_long_as_its_values():
    rects = [given for tag, given in Parsed(bar([("0", 1.0), ("1", 3.0)], 8.0, "x")).tags if tag == "rect"]
    assert [(rect["x"], rect["width"]) for rect in rects] == [("0.0", "25.0"), ("25.0", "75.0")]


def test_a_line_goes_from_corner_to_corner():
    drawn = Parsed(lines([("0", [(10, 0.0), (20, 5.0)])], "x", band=[(10, -1.0, 1.0), (20, 4.0, 5.0)]))
    (line,) = [given["points"] for tag, given in drawn.tags if tag == "polyline"]
    (zero,) = [given["y1"] for tag, given in drawn.tags if tag == "line"]
    first, last = line.split()
    assert first == f"8.0,{zero}"
    assert last == "712.0,8.0"
