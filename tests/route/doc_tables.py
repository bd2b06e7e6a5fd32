"""The tables of docs/reference/providers.md and docs/reference/models.md. `python tests/route/doc_tables.py` writes them anew."""

from pathlib import Path

from anchorline.cache import rules
from anchorline.route import catalog

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def providers() -> str:
    """Return one line a provider."""
    lines = [
        "| provider | mode | models | breakpoints | lifetimes (write) | read | minimum tokens | as of |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for provider in rules.load().providers.values():
        if provider.passthrough:
            lives, read, minimum, mode = "its vendor's", "its vendor's", "its vendor's", "its vendor's"
        else:
            lives = ", ".join(f"{life.name} ({life.write:g}x)" for life in provider.lifetimes)
            read = _range(provider.read, provider.reads.values(), "x")
            minimum = _range(provider.minimum_tokens, provider.minimums.values())
            mode = provider.mode + (" and implicit" if provider.implicit else "")
        models = ", ".join(f"`{pattern}`" for pattern in provider.models)
        slots = str(provider.max_breakpoints or "")
        cells = (provider.name, mode, models, slots, lives, read, minimum, provider.as_of)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def models() -> str:
    """Return one table with all models."""
    lines = [
        "| model | tier | skill | context | USD/M in / out | long prompts | multiplied by | before | first token | tokens/s | status |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found = catalog.load()
    for model in found.models.values():
        premium = ", ".join(
            f"over {one.above // 1000}k: {one.input:g}x / {one.output:g}x" for one in model.long
        )
        rates = ", ".join(f"{name} {times:g}" for name, times in model.rates.items())
        if model.off_peak is not None:
            rates = f"off-peak {model.off_peak.times:g}"
        earlier = ", ".join(f"until {one.until}: {one.input:g} / {one.output:g}" for one in model.earlier)
        speed = "" if model.measured else "~"
        cells = (
            f"{model.provider} `{model.id}`",
            model.tier,
            f"{model.skill:g}",
            f"{model.context // 1000}k",
            f"{model.input:g} / {model.output:g}",
            premium,
            rates,
            earlier,
            f"{speed}{model.ttft_ms} ms",
            f"{speed}{model.tps}",
            model.status,
        )
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Read on:"]
    lines += [f"- {name}, {source.as_of}: {source.source}" for name, source in found.sources.items()]
    return "\n".join(lines)


TABLES = {"providers": providers, "models": models}


def filled(name: str) -> str:
    """Return a page with its table as the data has it."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    head, rest = text.split(f"<!-- {name} -->\n", 1)
    _, tail = rest.split(f"<!-- /{name} -->", 1)
    return f"{head}<!-- {name} -->\n{TABLES[name]()}\n<!-- /{name} -->{tail}"


def _range(usual: float, others, unit: str = "") -> str:
    values = sorted({usual, *others})
    return f"{usual:g}{unit}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}{unit}, by model"


if __name__ == "__main__":
    for page in TABLES:
        (DOCS / f"{page}.md").write_text(filled(page), "utf-8")
