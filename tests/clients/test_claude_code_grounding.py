"""Claude Code itself with `hooks.ground`: what it sends has the places that the prompt is about."""

from anchorline.hooks.grounding import HEAD
from clients.desk import Desk, needs_clients
from support.grounded import FILE, PROMPT, shop

pytestmark = needs_clients


def test_it_sends_the_files_that_the_prompt_is_about(desk: Desk):
    shop(desk.place.work)
    desk.ask_headless(f"first. {PROMPT}")
    assert not any(HEAD.encode() in request.body for request in desk.provider.seen)
    with (desk.data.parent / "anchorline.toml").open("a") as settings:
        settings.write("ground = true\n")
    # The first one may come before its index: a prompt does not wait for it.
    for number in range(3):
        desk.ask_headless(f"again {number}. {PROMPT}", "--continue")
    sent = [request.body for request in desk.provider.seen if HEAD.encode() in request.body]
    assert sent
    assert f"Context: `{FILE}`".encode() in sent[-1]
