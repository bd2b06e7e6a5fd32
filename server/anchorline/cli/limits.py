"""`anchorline limits`: what is used of a plan's windows, when they will be full, and what tokens cost of them."""

import time

import click
import msgspec

from anchorline.cli import reading, tables
from anchorline.figures import count
from anchorline.limits import wording
from anchorline.limits.model import TokenCounts, WindowCost, WindowState
from anchorline.limits.state import Limits, limits
from anchorline.limits.work import plan_provider
from anchorline.route.target import Targets
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate

TOKENS = 100_000
"""Of which the cost is shown."""
_COLD: dict[str, dict[str, TokenCounts]] = {
    "anthropic": {
        "read": TokenCounts(read=TOKENS),
        "written for 5 min": TokenCounts(write_5m=TOKENS),
        "written for 1 h": TokenCounts(write_1h=TOKENS),
        "answered": TokenCounts(output=TOKENS),
    },
    "openai": {
        "read": TokenCounts(read=TOKENS),
        "not cached": TokenCounts(input=TOKENS),
        "answered": TokenCounts(output=TOKENS),
    },
}
_HOW = {
    "anthropic": "Claude Code's come with its status line (`anchorline connect claude-code --plugin --write`).",
    "openai": "Codex's are in its sessions (`anchorline import codex`), and the gateway tells them too.",
}


class ShownCost(msgspec.Struct, frozen=True):
    """What `tokens` of a kind cost of a window, with a model."""

    model: str
    kind: str
    cost: WindowCost


class ShownWindow(msgspec.Struct, frozen=True):
    """A window, what tokens cost of it, and from how many `steps` of work that was learnt; else what is `missing`.

    `own_weights`: models have weights of their own, where false they differ as their prices do. `error` is how far the
    rise of a step is off that was left out of learning, in per cent, beside that of prices alone.
    """

    state: WindowState
    costs: list[ShownCost]
    steps: int
    missing: str = ""
    own_weights: bool | None = None
    error: float | None = None
    error_by_prices: float | None = None
    elsewhere_percent_an_hour: float | None = None


@click.command(name="limits")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Show your plan's limits: what is used, when it resets, when it will be full, and what tokens cost of it.

    All of it comes from what your agents were told: whole per cents of each window. What tokens cost is learnt from how
    these rose while you worked, with an interval that holds the true cost nine times in ten. Exits with 2 when the
    database can't be read.

    \b
    Example:
      anchorline limits --json
    """
    settings = reading.settings().config
    now = time.time()
    targets = load_targets(settings.files)
    try:
        plan_limits = limits(locate(settings.store.path), targets, now)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    shown = [_shown(plan_limits, window, targets) for window in plan_limits.windows]
    if as_json:
        click.echo(msgspec.json.encode({"at": now, "windows": shown}).decode())
        return
    if not shown:
        tables.say("Nothing was told of a plan's limits yet.")
        for line in _HOW.values():
            tables.say(line)
        return
    for name, window in zip(wording.names(plan_limits.windows), shown, strict=True):
        _print(name, window, now)


def _shown(plan_limits: Limits, window: WindowState, targets: Targets) -> ShownWindow:
    knowledge = plan_limits.learnt(window)
    learnt = knowledge.learnt if knowledge is not None else None
    models = [model for model in learnt.models if model] if learnt is not None else []
    costs = [
        ShownCost(model, kind, cost)
        for model in models
        if plan_provider(targets.find(model).provider.name) == window.provider
        for kind, counts in _COLD.get(window.provider, {}).items()
        for cost in plan_limits.cost(model, counts)
        if cost.window == window.window
    ]
    steps = knowledge.steps if knowledge is not None else 0
    if learnt is None:
        return ShownWindow(window, costs, steps, plan_limits.missing(window))
    return ShownWindow(
        window,
        costs,
        steps,
        "",
        learnt.own_weights,
        round(learnt.error, 3),
        round(learnt.error_by_prices, 3),
        round(learnt.elsewhere, 3),
    )


def _print(name: str, window: ShownWindow, now: float) -> None:
    state = window.state
    plan = f" (plan {state.plan})" if state.plan else ""
    tables.say(f"{name}{plan}: {wording.state(state, now)}")
    if state.pace is not None:
        tables.say(f"  pace: {state.pace.value:.0f}% an hour over the last hour")
    costs = window.costs
    if any(shown.cost.percent is not None for shown in costs):
        kinds = list(dict.fromkeys(shown.kind for shown in costs))
        by_model: dict[str, dict[str, str]] = {}
        for shown in costs:
            by_model.setdefault(shown.model, {})[shown.kind] = (
                wording.percent(shown.cost.percent) if shown.cost.percent is not None else "not known yet"
            )
        rows = [(model, *(cells[kind] for kind in kinds)) for model, cells in by_model.items()]
        output = tables.console()
        columns = (f"{count(TOKENS)} tokens", *kinds)
        output.print(tables.fitted(columns, rows, width=output.width, numbers=tuple(kinds)))
        weights = "each model by itself" if window.own_weights else "models by their prices"
        tables.say(
            f"  learnt from {count(window.steps)} steps of work, {weights}; a step's rise is predicted to "
            f"{window.error:.1f}% of the window"
        )
    else:
        missing = next((shown.cost.missing for shown in window.costs if shown.cost.missing), "")
        tables.say(f"  What tokens cost is not known yet. {window.missing or missing}")
