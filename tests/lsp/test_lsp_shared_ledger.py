"""Two servers on one database know what the other has sent."""

import json
import time

from anchorline.cache.ledger import Entry
from anchorline.prompt import formats
from anchorline.store.database import locate
from anchorline.store.recorder import Recorder
from anchorline.trim.results import Shortened
from support.lsp_client import PATIENCE
from support.lsp_documents import OWN_MODEL, body


def test_a_server_sees_what_another_one_sent(start):
    first, second = start(), start()
    for client in (first, second):
        client.initialize(initializationOptions=OWN_MODEL)
    prompt = {"prompt": {"body": body()}}
    assert second.call("anchorline/plan", prompt)["cache"]["warm_tokens"] == 0
    plan = first.call("anchorline/plan", prompt)
    usage = {"write": plan["tokens"]["estimate"]}
    assert first.call("anchorline/outcome", {"planId": plan["id"], "usage": usage}) == {"recorded": True}
    lost = time.monotonic() + PATIENCE
    while not second.call("anchorline/status")["warm"]:
        assert time.monotonic() < lost
    assert second.call("anchorline/plan", prompt)["cache"]["warm_tokens"] > 0


def test_a_plan_shows_what_a_gateway_sends_of_a_warm_prefix(start):
    """Results that the provider holds are sent as they were: shorter, where the gateway had made them so."""
    file = "".join(f"{n:>6}\tvalue_{n} = compute({n})  # a line of the file\n" for n in range(1, 900))
    messages: list[dict] = [{"role": "user", "content": "Read it"}]
    for n in range(2):
        use = {"type": "tool_use", "id": f"toolu_{n}", "name": "Read", "input": {"file_path": "a.py"}}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": file}
        messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    text = json.dumps({"model": "claude-sonnet-5", "system": "", "max_tokens": 9, "messages": messages})
    prompt, now = formats.read(text.encode()), time.time()
    shortened = Shortened()
    made = shortened.keep(prompt, shortened.shorten(prompt, -1))
    client = start()
    client.initialize(initializationOptions=OWN_MODEL)
    asked = {"prompt": {"body": text}}
    assert len(client.call("anchorline/plan", asked)["trims"]) == 2
    recorder = Recorder(locate(""))
    recorder.replays(made)
    prefix = prompt.segments[-1].prefix
    recorder.ledger([Entry("anthropic", "default", "claude-sonnet-5", prefix, 9000, "5m", now, now + 300)])
    assert recorder.close(timeout=PATIENCE)
    lost = time.monotonic() + PATIENCE
    while not (plan := client.call("anchorline/plan", asked))["cache"]["warm_tokens"] or not plan["trims"]:
        assert time.monotonic() < lost
    assert [trim["pointer"] for trim in plan["trims"]] == ["/messages/2/content/0", "/messages/4/content/0"]
