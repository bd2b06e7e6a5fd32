"""Strategies for JSON *texts*: what a decoder accepts but no encoder of ours would write.

White space anywhere, unicode escapes, duplicate keys, numbers that fit no machine type, deep nesting.
"""

import json

from hypothesis import strategies as st

space = st.sampled_from(["", "", "", " ", "\n  ", "\t", "\r\n"])


@st.composite
def strings(draw: st.DrawFn, content: st.SearchStrategy[str] | None = None) -> str:
    text = draw(content if content is not None else st.text(max_size=30))
    form = draw(st.integers(0, 2))
    if form == 0:
        return json.dumps(text)
    if form == 1:
        return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return '"' + "".join(f"\\u{unit:04x}" for unit in _utf16(text)) + '"'


def _utf16(text: str) -> list[int]:
    data = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]


numbers = st.sampled_from(["0", "-1", "1e400", "123456789012345678901234567890", "0.1", "-2.5E-10"])
scalars = st.one_of(strings(), numbers, st.sampled_from(["true", "false", "null"]))


@st.composite
def objects(draw: st.DrawFn, members: list[tuple[str, str]]) -> str:
    """An object with these (key text, value text) members in this order."""
    parts = []
    for key, value in members:
        parts.append(draw(space) + key + draw(space) + ":" + draw(space) + value + draw(space))
    return "{" + ",".join(parts) + "}"


@st.composite
def arrays(draw: st.DrawFn, values: list[str]) -> str:
    return "[" + ",".join(draw(space) + value + draw(space) for value in values) + "]"


@st.composite
def containers(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    if draw(st.booleans()):
        return draw(arrays(draw(st.lists(inner, max_size=3))))
    keys = draw(st.lists(strings(st.sampled_from(["a", "type", "content", "text", "b"])), max_size=3))
    return draw(objects([(key, draw(inner)) for key in keys]))


values = st.recursive(scalars, containers, max_leaves=8)
deep = st.integers(50, 200).map(lambda depth: "[" * depth + "]" * depth)
extras = st.lists(
    st.tuples(strings(st.sampled_from(["metadata", "stream", "x", "meta\\ssages"])), st.one_of(values, deep)),
    max_size=2,
)

_MARK = '{"type":"ephemeral"}'


@st.composite
def text_blocks(draw: st.DrawFn) -> str:
    members = [('"type"', '"text"'), ('"text"', draw(strings()))]
    if draw(st.integers(0, 4)) == 0:
        members.append(
            ('"cache_control"', draw(st.sampled_from([_MARK, '{"type": "ephemeral", "ttl": "1h"}'])))
        )
    members += draw(extras)
    return draw(objects(draw(st.permutations(members))))


@st.composite
def tool_blocks(draw: st.DrawFn) -> str:
    members = [
        ('"tool_use_id"', '"toolu_1"'),
        ('"type"', '"tool_result"'),
        ('"content"', draw(st.one_of(strings(), values.map(lambda value: f"[{value}]")))),
    ]
    return draw(objects(members))


@st.composite
def messages(draw: st.DrawFn) -> str:
    content = draw(
        st.one_of(
            strings(),
            st.lists(st.one_of(text_blocks(), tool_blocks()), min_size=1, max_size=4).flatmap(arrays),
        )
    )
    members = [('"role"', draw(st.sampled_from(['"user"', '"assistant"']))), ('"content"', content)]
    if draw(st.integers(0, 5)) == 0:
        members.insert(0, ('"content"', '"an earlier one of two"'))
    members += draw(extras)
    return draw(objects(members))


@st.composite
def anthropic_bodies(draw: st.DrawFn) -> bytes:
    turns = draw(arrays(draw(st.lists(messages(), min_size=1, max_size=5))))
    members = [('"model"', '"claude-sonnet-5"'), ('"max_tokens"', "1024"), ('"messages"', turns)]
    if draw(st.booleans()):
        members.append(
            ('"system"', draw(st.one_of(strings(), st.lists(text_blocks(), max_size=2).flatmap(arrays))))
        )
    if draw(st.booleans()):
        tools = [
            f'{{"name":"t{index}","input_schema":{draw(values)}}}' for index in range(draw(st.integers(0, 2)))
        ]
        members.append(('"tools"', draw(arrays(tools))))
    members += draw(extras)
    if draw(st.integers(0, 5)) == 0:
        members.insert(0, ('"messages"', '[{"role":"user","content":"an earlier one of two"}]'))
        order = members
    else:
        order = draw(st.permutations(members))
    return (draw(space) + draw(objects(list(order))) + draw(space)).encode("utf-8", "surrogatepass")
