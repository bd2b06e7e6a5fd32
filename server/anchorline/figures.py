"""Numbers as text: dollars, tokens, probabilities and time, the same wherever they are shown."""


def usd(amount: float | None) -> str:
    """Returns dollars: cents from $1 on, else four digits; ``not known`` where there are none."""
    if amount is None:
        return "not known"
    sign, size = "-" * (amount < 0), abs(amount)
    if 0 < size < 0.00005:
        return f"{sign}<$0.0001"
    return f"{sign}${size:,.{2 if size >= 1 else 4}f}"


def cents(amount: float) -> str:
    """Returns dollars to the cent, as on a bill; ``<$0.01`` for less."""
    return "<$0.01" if 0 < amount < 0.005 else f"${amount:,.2f}"


def count(number: int) -> str:
    """Returns a number with groups of three digits."""
    return f"{number:,}"


def likely(probability: float) -> str:
    """Returns a probability in percent; never 100, which would be a promise."""
    return ">99%" if probability > 0.99 else f"{probability:.0%}"


def share(part: float) -> str:
    """Returns a part of a whole in percent, with a decimal below 10; ``<0.1%`` for less."""
    if 0 < part < 0.001:
        return "<0.1%"
    return f"{part:.1%}" if part < 0.1 else f"{part:.0%}"


def duration(seconds: float) -> str:
    """Returns how long something took: 40 ms, or 1.2 s."""
    return f"{1000 * seconds:.0f} ms" if seconds < 0.9995 else f"{seconds:.1f} s"


def span(seconds: int) -> str:
    """Returns minutes and seconds, as in 3:10."""
    return f"{seconds // 60}:{seconds % 60:02d}"
