"""Random histories of several days, as they are recorded."""

from random import Random

from anchorline.replay.history import RecordedUsage

MODELS = ("claude-opus-4-5", "claude-haiku-4-5")
GAPS = (1.0, 50.0, 299.0, 301.0, 3599.0, 3601.0, 9000.0, 20_000.0, 90_000.0)


def recorded_days(draw: Random) -> list[RecordedUsage]:
    """Conversations over days, with heads in common, misses, compactions and switches of model."""
    requests = []
    for number in range(draw.randint(1, 4)):
        at = draw.choice((0.0, 100.0, 5000.0, 80_000.0))
        read, tokens = draw.choice((0, 5000)), 9000
        for _ in range(draw.randint(1, 25)):
            short = draw.random() < 0.5
            written = tokens - read
            requests.append(
                RecordedUsage(
                    f"r{len(requests)}", f"s{number % 2}", draw.choice(("main", "main", f"agent-{number}")), 0,
                    MODELS[draw.random() < 0.1], at, draw.choice(("tool", "tool", "user", "compact")), 0, read,
                    written * short, written * (not short), 10,
                )
            )  # fmt: skip
            at += draw.choice(GAPS)
            kept = draw.choices((tokens, draw.randint(0, tokens), 0), (10, 1, 1))[0]
            read, tokens = draw.choice((kept, kept, 0)), kept + draw.randint(1, 3000)
    return requests
