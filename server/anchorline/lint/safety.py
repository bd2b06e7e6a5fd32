"""The AL3xx rules, for what should not be sent, or can't be."""

from collections.abc import Iterator

from anchorline import redact
from anchorline.lint.finding import Finding
from anchorline.plan import Plan
from anchorline.prompt.attachments import payloads
from anchorline.prompt.model import Prompt
from anchorline.route.target import Target


def check(prompt: Prompt, plan: Plan, target: Target) -> Iterator[Finding]:
    """Yields the findings."""
    for segment in prompt.segments:
        for begin, raw in _texts(prompt.load(segment.start, segment.end)):
            text = raw.decode("utf-8", "replace")
            narrow = len(text) == len(raw)
            for secret in redact.find(text):
                start, end = secret.start, secret.end
                if redact.example(secret, text):
                    continue
                if not narrow:
                    start, end = len(text[:start].encode()), len(text[:end].encode())
                message = f"looks like a secret ({secret.name})"
                offset = segment.start + begin
                yield Finding("AL301", message, "warning", offset + start, offset + end)
    model = target.model
    if model is not None and plan.tokens.low > model.context and prompt.segments:
        last = prompt.segments[-1]
        message = f"at least {plan.tokens.low} tokens; {model.id} takes {model.context}"
        yield Finding("AL302", message, "error", last.start, last.end)


def _texts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the parts of a segment that are no base64 of an image or a document, with where they begin."""
    position = 0
    for payload in payloads(content):
        yield position, content[position : payload.start]
        position = payload.end
    yield position, content[position:]
