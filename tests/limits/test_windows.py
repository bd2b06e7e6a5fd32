"""Samples are put to the window that they are of."""

from anchorline.limits.windows import WindowSpan, spans
from anchorline.rate_limits import LimitSample

RESET = 1_784_607_600.0


def sample(at: float, used: float, resets_at: float | None = RESET, **fields) -> LimitSample:
    values = {"source": "headers", "length": 18000.0, **fields}
    return LimitSample(RESET - 18000 + at, "anthropic", "five_hour", used, resets_at, **values)


def of_one_series(*samples: LimitSample) -> list[WindowSpan]:
    (made,) = spans(samples).values()
    return made


def figures(span: WindowSpan) -> list[float]:
    return [point.used for point in span.points]


def test_a_reset_begins_a_span_and_seconds_do_not() -> None:
    made = of_one_series(
        sample(10, 1, RESET - 4), sample(20, 2), sample(30, 3, RESET + 2), sample(18100, 1, RESET + 18100)
    )
    assert [figures(span) for span in made] == [[1, 2, 3], [1]]
    assert made[0].begins == RESET + 2 - 18000


def test_an_old_figure_that_a_status_line_tells_again_is_left_out() -> None:
    (made,) = of_one_series(
        sample(10, 20), sample(20, 25), sample(30, 20, source="status_line"), sample(40, 26), sample(50, 25)
    )
    assert figures(made) == [20, 25, 26]


def test_a_figure_that_was_set_back_begins_a_span() -> None:
    made = of_one_series(sample(10, 80), sample(20, 81), sample(30, 40), sample(40, 41))
    assert [figures(span) for span in made] == [[80, 81], [40, 41]]


def test_another_plan_begins_a_span() -> None:
    made = of_one_series(sample(10, 10, plan="plus"), sample(20, 11, plan="plus"), sample(30, 12, plan="pro"))
    assert [(span.plan, figures(span)) for span in made] == [("plus", [10, 11]), ("pro", [12])]


def test_two_accounts_on_one_machine_have_resets_of_their_own() -> None:
    made = of_one_series(
        sample(10, 50), sample(20, 5, RESET + 3600), sample(30, 51), sample(40, 6, RESET + 3600)
    )
    assert sorted(figures(span) for span in made) == [[5, 6], [50, 51]]


def test_what_is_told_again_shows_until_when_it_was_so() -> None:
    (made,) = of_one_series(sample(10, 20, until=RESET - 17000), sample(20, 20))
    assert (made.points[0].at, made.newest) == (RESET - 17990, RESET - 17000)


def test_a_status_line_is_of_the_account_that_headers_name() -> None:
    (made,) = of_one_series(sample(10, 20, account="b2:a"), sample(20, 21, source="status_line"))
    assert (made.series.account, figures(made)) == ("b2:a", [20, 21])


def test_of_two_accounts_the_reset_tells_which_one_it_is() -> None:
    named = spans(
        [
            sample(10, 50, account="b2:a"),
            sample(20, 5, RESET + 3600, account="b2:b"),
            sample(30, 6, RESET + 3601, source="status_line"),
            sample(40, 7, RESET + 9000, source="status_line"),
        ]
    )
    assert {series.account: [figures(span) for span in made] for series, made in named.items()} == {
        "b2:a": [[50]],
        "b2:b": [[5, 6]],
        "": [[7]],
    }
