"""Two servers on one database know what the other has sent."""

import time

from rawclient import PATIENCE
from test_lsp_features import OWN_MODEL, body


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
