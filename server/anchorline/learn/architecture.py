"""The form of the network: what it sees, how wide it is, and which arrays it has."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from anchorline.learn.features import BUCKETS, DRAFT, LONGER, MOMENT, RETURN, TIMES

HEADS = ("gap", "hit", "solve")
FeaturePart = Literal["draft", "moment", "return"]
PARTS: tuple[FeaturePart, ...] = ("draft", "moment", "return")
"""What features consist of. The words of a draft belong to its numbers."""

VIEWS: dict[str, tuple[FeaturePart, ...]] = {
    "gap": ("moment",),
    "hit": ("moment", "return"),
    "solve": ("draft",),
}
"""What each head sees. The same is known wherever it is asked: a table of routing has drafts only, a replay moments."""

Name = Annotated[str, Meta(max_length=64)]
Names = Annotated[tuple[Name, ...], Meta(max_length=256)]
Width = Annotated[int, Meta(ge=1, le=1024)]
Seconds = Annotated[float, Meta(gt=0, le=1e7)]
Skill = Annotated[float, Meta(ge=-5, le=5)]


class KnownModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that has an embedding of its own, with its skill in the catalogue."""

    id: Annotated[str, Meta(max_length=128)]
    skill: Skill


class Architecture(msgspec.Struct, frozen=True):
    """Widths, and the names of the numbers that go in.

    `text` is the width of a bucket's embedding, `hidden` and `layers` the trunk's, `factors` what the solve head keeps
    of a prompt. `views` names, by head, the parts that it sees. `offsets` names,
    by head, numbers that are added to its log odds as they are: the network then learns a correction of them.
    """

    draft: Names = DRAFT
    moment: Names = MOMENT
    back: Names = RETURN
    times: Annotated[tuple[Seconds, ...], Meta(min_length=1, max_length=64)] = TIMES
    models: Annotated[tuple[KnownModel, ...], Meta(max_length=1024)] = ()
    views: Mapping[Name, tuple[FeaturePart, ...]] = msgspec.field(default_factory=lambda: dict(VIEWS))
    offsets: Mapping[Name, Names] = msgspec.field(default_factory=lambda: {"gap": LONGER, "hit": ("odds",)})
    buckets: Annotated[int, Meta(ge=1, le=2**17)] = BUCKETS
    text: Width = 48
    hidden: Width = 128
    layers: Annotated[int, Meta(ge=1, le=8)] = 2
    factors: Width = 8

    @property
    def parts(self) -> tuple[tuple[str, ...], ...]:
        """The names of the dense numbers, part by part."""
        return (self.draft, self.moment, self.back)

    @property
    def dense(self) -> int:
        """How many dense numbers there are."""
        return sum(map(len, self.parts))

    @property
    def seen(self) -> int:
        """The width of what goes into the trunk: text, dense numbers, and which are known."""
        return self.text + self.dense + len(self.parts) + 1

    def view(self, head: str) -> tuple[float, ...]:
        """Returns 1 or 0 for the words and for each of the dense parts: whether the head sees it."""
        seen = self.views.get(head, PARTS)
        dense = tuple(float(part in seen) for part in PARTS)
        return (dense[0], *dense)

    def columns(self, head: str) -> list[int]:
        """Returns the columns of a head's offsets among the dense numbers. Raises ValueError for an unknown name."""
        names = [name for part in self.parts for name in part]
        return [names.index(name) for name in self.offsets.get(head, ())]


def shapes(form: Architecture) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every array. Those that begin with ``scale.`` standardise and are not trained."""
    both = form.hidden + form.seen
    arrays: dict[str, tuple[int, ...]] = {
        "scale.mean": (form.dense,),
        "scale.deviation": (form.dense,),
        "grams": (form.buckets, form.text),
        "trunk.0.weight": (form.seen, form.hidden),
        "trunk.0.bias": (form.hidden,),
    }
    for layer in range(1, form.layers):
        arrays[f"trunk.{layer}.weight"] = (form.hidden, form.hidden)
        arrays[f"trunk.{layer}.bias"] = (form.hidden,)
    arrays |= {
        "gap.weight": (both, len(form.times)),
        "gap.bias": (len(form.times),),
        "hit.weight": (both, 1),
        "hit.bias": (1,),
        "solve.easy": (both, 1),
        "solve.prompt": (both, form.factors),
        "solve.prompt_bias": (form.factors,),
        "solve.base": (form.factors,),
        "solve.skill": (form.factors,),
        "solve.odds": (2,),
        "solve.models": (len(form.models), form.factors),
        "solve.bias": (len(form.models),),
    }
    return arrays
