"""Plans, prompts and entries for the tests of the store."""

import hashlib

from anchorline.cache.ledger import Entry
from anchorline.plan import (
    Addition,
    Alternative,
    Anchor,
    CachePlan,
    Cost,
    Edit,
    Hint,
    Keepalive,
    Miss,
    Plan,
    Policy,
    Question,
    Refinement,
    Route,
    Tokens,
    Trim,
)
from anchorline.prompt.model import Draft, Prompt, Segment

MODEL = "claude-sonnet-5"


def plan(
    plan_id: str = "p1", *, word: str = "parser", at: float = 1_790_000_000.0, session: str | None = "s"
) -> Plan:
    """Return a plan with every field filled; `word` stands wherever a planner could quote the draft."""
    return Plan(
        id=plan_id,
        created_at=at,
        format="markdown",
        draft_hash="0" * 32,
        prompt_hash="1" * 32,
        session=session,
        policy=Policy(arm="b", propensity=0.25),
        refinement=Refinement(
            status="proposed",
            reason=f"names {word}",
            text=f"Fix the {word}.",
            edits=(Edit(0, 3, word, f"{word} is clearer"),),
            hints=(Hint("AL101", f"what is {word}?", 0, 3),),
            questions=(Question(word, f"Which {word}?"),),
            additions=(
                Addition(
                    "a1", "file", f"Context: `src/{word}.py`", f"matches “{word}”", 0.8, f"src/{word}.py"
                ),
            ),
            structure=Edit(0, 3, f"Goal\n{word}", f"ordered around {word}"),
        ),
        trims=(Trim(1, "#1", "reference", 0, 120, f"same as {word}"),),
        cache=CachePlan(
            provider="anthropic",
            mode="explicit",
            anchors=(Anchor(0, "/messages/3/content/0", 4000, "1h", f"ends with {word}"),),
            p_hit=0.9,
            warm_tokens=4000,
            expires_in_s=120,
            expected_read_tokens=4000,
            expected_write_tokens=200,
            keepalive=Keepalive(1, 295, word),
            miss_reasons=(Miss("expired", word),),
            reason=f"because of {word}",
        ),
        route=Route(
            target=MODEL,
            tier="strong",
            alternatives=(
                Alternative(MODEL, "strong", 0.8, 0.02, 4000, 0.38),
                Alternative("claude-haiku-5", "fast", 0.6, 0.005, 1500, 0.29, f"{word} is hard"),
            ),
            sticky=True,
            reason=f"{word} looks hard",
        ),
        tokens=Tokens(4200, 4000, 4400),
        cost=Cost(0.02, 0.05, 0.015, 0.01, 0.03),
        timing={"analyse": 0.1},
        failure=f"ValueError: can't read {word}",
    )


def prompt(
    draft: str = "fix the parser", *, turns: int = 3, session: str = "s", history: str = "turn"
) -> Prompt:
    """Return a prompt of `turns` segments whose last is the draft."""
    source = b""
    prefix = hashlib.blake2b(digest_size=16)
    segments = []
    for index in range(turns):
        content = (draft if index == turns - 1 else f"{history} {index}").encode()
        prefix.update(content)
        digest = hashlib.blake2b(content, digest_size=16).digest()
        segments.append(
            Segment(
                kind="text",
                role="user",
                start=len(source),
                end=len(source) + len(content),
                digest=digest,
                prefix=prefix.copy().digest(),
                tokens=len(content) // 4,
                spread=0.1,
                section="messages",
                message=index,
                block=-1,
            )
        )
        source += content
    return Prompt(
        format="markdown",
        segments=tuple(segments),
        load=lambda start, end: source[start:end],
        draft=Draft(draft, turns - 1, segments[-1].start, segments[-1].end, encoded=False),
        model=MODEL,
        provider="anthropic",
        session=session,
    )


def entry(prefix: bytes = b"\x01" * 16, *, expires_at: float = 1_790_003_600.0, tokens: int = 4000) -> Entry:
    """Return a ledger entry."""
    return Entry("anthropic", "default", MODEL, prefix, tokens, "1h", expires_at - 3600, expires_at)
