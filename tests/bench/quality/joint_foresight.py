"""The best route through a recorded session by one who knows what will come: a bound for joint.py."""

from collections.abc import Sequence

import msgspec

from anchorline.route.catalog import Model
from anchorline.route.quality import QualityModel
from bench.data.joint_sessions import Chain, Held, Session, Sum, paid

KEPT = 4
"""States that are kept after each turn; with 16 no figure changes by more than .002."""


class State(msgspec.Struct):
    """A way through the turns so far: its value (worth of success less cost), and what each model holds."""

    held: dict[str, Held]
    model: str = ""
    value: float = 0.0
    usd: float = 0.0
    solved: float = 0.0
    switches: int = 0

    def no_better_than(self, other: "State") -> bool:
        """Tell whether another way of at least this value ends with the same model and as much in the caches."""
        return self.model == other.model and all(
            held.tokens <= other.held[name].tokens and held.until <= other.held[name].until
            for name, held in self.held.items()
        )


def foresight(session: Session, models: Sequence[Model], quality: QualityModel, worth: float) -> Sum:
    """Return what the best route comes to. The lifetimes are those that a plan chooses."""
    usd = solved = 0.0
    requests = choices = switches = 0
    for chain in session:
        states = [State({model.id: Held() for model in models})]
        turns = _turns(chain)
        for number, turn in enumerate(turns):
            features = quality.features("x" * (turn[0].said or 0), in_session=number > 0)
            odds = {model.id: quality.p_success(features, model) for model in models}
            further = [
                _sent(state, turn, model, odds[model.id], worth) for state in states for model in models
            ]
            states = []
            for state in sorted(further, key=lambda one: -one.value):
                if len(states) < KEPT and not any(map(state.no_better_than, states)):
                    states.append(state)
        best = states[0]
        usd, solved, switches = usd + best.usd, solved + best.solved, switches + best.switches
        requests, choices = requests + len(chain), choices + len(turns)
    return Sum(usd, solved, requests, choices, switches)


def _turns(chain: Chain) -> list[Chain]:
    starts = [index for index, asked in enumerate(chain) if asked.said is not None or not index]
    return [chain[start:end] for start, end in zip(starts, [*starts[1:], len(chain)], strict=True)]


def _sent(state: State, turn: Chain, model: Model, p_success: float, worth: float) -> State:
    """Return a way that goes on with a turn's requests at a model."""
    held = {name: one.copy() for name, one in state.held.items()}
    usd = 0.0
    for asked in turn:
        for one in held.values():
            one.tokens = min(one.tokens, asked.step.shared)
        usd += paid(held[model.id], asked, model)
    solved = p_success * len(turn)
    return State(
        held,
        model.id,
        state.value + worth * solved - usd,
        state.usd + usd,
        state.solved + solved,
        state.switches + (state.model not in ("", model.id)),
    )
