"""Numbers as text: dollars, tokens, probabilities and time, the same wherever they are shown."""


def usd(amount: float | None) -> str:
    """Returns dollars with as many digits as matter; ``not known`` where there are none."""
    if amount is None:
        return "not known"
    sign, size = "-" * (amount < 0), abs(amount)
    digits = 2 if size >= 1 else 4 if size >= 0.001 or not size else 6
    return f"{sign}${size:,.{digits}f}"


def count(number: int) -> str:
    """Returns a number with groups of three digits."""
    return f"{number:,}"


def likely(probability: float) -> str:
    """Returns a probability in percent; never 100, which would be a promise."""
    return ">99%" if probability > 0.99 else f"{probability:.0%}"


def span(seconds: int) -> str:
    """Returns minutes and seconds, as in 3:10."""
    return f"{seconds // 60}:{seconds % 60:02d}"
