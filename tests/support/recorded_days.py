"""Random histories of several days, as a replay sends them."""

from random import Random

from anchorline.replay.history import ReplayedRequest

MODELS = ("claude-opus-4-5", "claude-haiku-4-5")
GAPS = (1.0, 50.0, 299.0, 301.0, 3599.0, 3601.0, 9000.0, 20_000.0, 90_000.0)


def recorded_days(draw: Random) -> list[ReplayedRequest]:
    """Conversations over days, with heads in common and switches of model."""
    requests = []
    for number in range(draw.randint(1, 4)):
        at = draw.choice((0.0, 100.0, 5000.0, 80_000.0))
        shared, tokens = draw.choice((0, 5000)), 9000
        for _ in range(draw.randint(1, 25)):
            model = MODELS[draw.random() < 0.1]
            requests.append(
                ReplayedRequest(
                    f"r{len(requests)}", f"s{number % 2}", f"c{number}", 0, model, at, tokens, shared, 10,
                    draw.choice(("tool", "tool", "user", "compact")), draw.choice(("5m", "1h")),
                )
            )  # fmt: skip
            at += draw.choice(GAPS)
            kept = draw.choices((tokens, draw.randint(0, tokens), 0), (10, 1, 1))[0]
            shared, tokens = kept, kept + draw.randint(1, 3000)
    return sorted(requests, key=lambda request: request.at)
