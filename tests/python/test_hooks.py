"""Hooks: the route, the command, and the real Claude Code program with the settings and the callbacks of the example.

Claude Code comes with the package claude-agent-sdk; only its model is scripted (fake_anthropic.py).
"""

import asyncio
import json
import os
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, new_token
from fake_anthropic import FakeAnthropic
from guarding import ASK_COMMAND, BAD_COMMAND, BAD_PROMPT, BAD_RESULT, EXAMPLES, TENANT, Guarded, harness_environment

RUN_SECONDS_MAX = 120
ROUTE = "/v1/hooks/claude-code"
CALL = {"tool_input": {"order": "A1"}, "tool_use_id": "toolu_1"}
LOOK = {"tool_name": "lookup_order", **CALL}
CLOSE = {"tool_name": "close_account", **CALL}
REFUND = {"tool_name": "issue_refund", **CALL}
OTHERS = ["SessionStart", "SessionEnd", "SubagentStart", "SubagentStop", "Stop", "Notification", "PreCompact", "NotKnownYet"]

STOP = {"continue": False, "stopReason": ...}


def before(decision: str) -> dict:
    decided = {"permissionDecision": decision, "permissionDecisionReason": ...}
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **decided}}


def permission(**more: Any) -> dict:
    decision = {"behavior": "deny", "message": ..., **more}
    return {"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}}


# name of the hook, its own fields, the whole answer; `...` stands for any text
FINE = [
    ("PreToolUse", LOOK, {}),
    ("PostToolUse", {**LOOK, "tool_response": {"state": "shipped"}, "duration_ms": 3}, {}),
    ("PostToolUseFailure", {**LOOK, "error": "no such order"}, {}),
    ("PostToolBatch", {"tool_calls": [{**LOOK, "tool_response": "shipped"}]}, {}),
    ("PermissionRequest", {"tool_name": "lookup_order", "tool_input": {"order": "A1"}}, {}),
    ("UserPromptSubmit", {"prompt": "where is order A1?"}, {}),
    *[(name, {}, {}) for name in OTHERS],
]
REFUSED = [
    ("PreToolUse", CLOSE, before("deny")),
    ("PreToolUse", REFUND, before("ask")),
    # Nobody would be asked in this mode.
    ("PreToolUse", {**REFUND, "permission_mode": "bypassPermissions"}, before("deny")),
    ("PermissionRequest", {"tool_name": "close_account", "tool_input": {}}, permission()),
    # A person is asked next anyway.
    ("PermissionRequest", {"tool_name": "issue_refund", "tool_input": {}}, {}),
    ("UserPromptSubmit", {"prompt": f"now {BAD_PROMPT}, please"}, {"decision": "block", "reason": ...}),
    ("PostToolUse", {**LOOK, "tool_response": {"text": BAD_RESULT}}, {"decision": "block", "reason": ...}),
]
HALTED = [
    ("PreToolUse", LOOK, {**before("deny"), **STOP}),
    ("PermissionRequest", {"tool_name": "lookup_order", "tool_input": {}}, permission(interrupt=True)),
    ("UserPromptSubmit", {"prompt": "where is order A1?"}, {"decision": "block", "reason": ..., **STOP}),
    ("PostToolUse", {**LOOK, "tool_response": "shipped"}, STOP),
    ("Stop", {}, STOP),
    ("SessionStart", {}, STOP),
]


def payload(hook: str, session: str, fields: dict) -> dict:
    common = {"session_id": session, "transcript_path": "/tmp/t.jsonl", "cwd": "/srv/shop", "permission_mode": "default"}
    return {**common, "hook_event_name": hook, **fields}


def like(expected: Any, got: Any) -> bool:
    if expected is ...:
        return isinstance(got, str) and got != ""
    if isinstance(expected, dict):
        same = isinstance(got, dict) and expected.keys() == got.keys()
        return same and all(like(value, got[key]) for key, value in expected.items())
    return type(expected) is type(got) and expected == got


def rows(guarded: Guarded, prefix: str) -> list[tuple[dict, dict]]:
    """Payloads and answers, each in a session of its own."""
    made = []
    for kind, of_kind in (("fine", FINE), ("refused", REFUSED), ("halted", HALTED)):
        for number, (hook, fields, expected) in enumerate(of_kind):
            session = f"{prefix}-{kind}-{number}"
            if kind == "halted":
                guarded.halt(session)
            made.append((payload(hook, session, fields), expected))
    return made


# ── the route ──


def test_each_hook_is_answered_in_its_own_words(guarded: Guarded):
    for token in (guarded.harness, guarded.gate_only):
        for asked, expected in rows(guarded, f"route-{token[-6:]}"):
            answer = guarded.server.post(f"{ROUTE}?tenant={TENANT}&agent=billing-bot", asked, token)
            assert answer.status == 200 and like(expected, answer.json), f"{asked}: expected {expected}, got {answer}"


def test_hooks_are_events_where_the_token_may_tell_events(guarded: Guarded):
    asked = [row for row in FINE if row[0] in ("UserPromptSubmit", "PreToolUse", "PostToolUse")]
    asked.sort(key=lambda row: ["UserPromptSubmit", "PreToolUse", "PostToolUse"].index(row[0]))
    for session, token in (("told", guarded.harness), ("not-told", guarded.gate_only)):
        for hook, fields, _ in asked:
            assert guarded.server.post(ROUTE, payload(hook, session, fields), token).status == 200
    guarded.wait_for_trail("told", [("message", None), ("tool_call", "lookup_order"), ("tool_result", "lookup_order")])
    assert guarded.trail("not-told") == []
    # A call that halts is refused by the first hook; its event halts the session for the next one.
    call = payload("PreToolUse", "told", {"tool_name": "wire_money", "tool_input": {}, "tool_use_id": "toolu_2"})
    assert like(before("deny"), guarded.server.post(ROUTE, call, guarded.harness).json)
    guarded.server.wait_until(lambda: guarded.is_halted("told"), "the recorded call to halt its session")


def test_what_is_no_hook_or_comes_from_nobody_is_an_error(guarded: Guarded):
    good = payload("PreToolUse", "s-1", LOOK)
    without = {name: {key: value for key, value in good.items() if key != name} for name in good}
    bad: list[tuple[Any, str | None, str, tuple[int, ...]]] = [
        ("not json", guarded.harness, ROUTE, (400, 422)),
        ("", guarded.harness, ROUTE, (400, 422)),
        ([good], guarded.harness, ROUTE, (400, 422)),
        (without["session_id"], guarded.harness, ROUTE, (400, 422)),
        (without["hook_event_name"], guarded.harness, ROUTE, (400, 422)),
        (without["tool_name"], guarded.harness, ROUTE, (400, 422)),
        (good, None, ROUTE, (401,)),
        (good, "hl_wrong", ROUTE, (401,)),
        (good, guarded.ops, ROUTE, (403,)),
        (good, guarded.harness, f"{ROUTE}?tenant=globex", (403,)),
    ]
    for body, token, path, statuses in bad:
        answer = guarded.server.post(path, body, token)
        assert answer.status in statuses, f"{body}: expected {statuses}, got {answer}"
        assert answer.json["error"]["code"] and answer.json["error"]["message"], answer
        assert ("www-authenticate" in answer.headers) == (answer.status == 401), answer


# ── the command ──


def command(asked: Any, *args: str, token: str | None = None) -> subprocess.CompletedProcess:
    text = asked if isinstance(asked, str) else json.dumps(asked)
    env = {"PATH": "/usr/bin:/bin"} | ({"HALTLINE_TOKEN": token} if token else {})
    return subprocess.run(
        [str(BINARY), "hook", "claude-code", *args], input=text, env=env, capture_output=True, text=True, timeout=60
    )


def test_the_command_says_what_the_route_says(guarded: Guarded, tmp_path: Path):
    to = ["--url", guarded.server.url, "--tenant", TENANT, "--agent", "billing-bot"]
    for asked, expected in rows(guarded, "command"):
        done = command(asked, *to, token=guarded.harness)
        assert done.returncode == 0 and like(expected, json.loads(done.stdout)), f"{asked}: expected {expected}, got {done}"
    file = tmp_path / "token"
    file.write_text(guarded.gate_only + "\n")
    done = command(payload("PreToolUse", "s-file", CLOSE), *to, "--token-file", str(file), token="hl_wrong")
    assert done.returncode == 0 and like(before("deny"), json.loads(done.stdout)), done


def test_the_command_fails_closed_unless_it_is_told_otherwise(guarded: Guarded, tmp_path: Path):
    good = payload("PreToolUse", "s-1", LOOK)
    to, token = ["--url", guarded.server.url], guarded.harness
    with socket.create_server(("127.0.0.1", 0)) as silent:
        never = ["--url", f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "1"]
        bad: list[tuple[str, Any, list[str], str | None]] = [
            ("not JSON", "not json", to, token),
            ("nothing", "", to, token),
            ("no session", {"hook_event_name": "PreToolUse"}, to, token),
            ("no token", good, to, None),
            ("wrong token", good, to, "hl_wrong"),
            ("wrong scope", good, to, guarded.ops),
            ("other tenant", good, [*to, "--tenant", "globex"], token),
            ("no token file", good, [*to, "--token-file", str(tmp_path / "none")], token),
            ("server gone", good, ["--url", "http://127.0.0.1:1"], token),
            ("no answer", good, never, token),
            ("a prompt", payload("UserPromptSubmit", "s-1", {"prompt": "hi"}), ["--url", "http://127.0.0.1:1"], token),
        ]
        for name, asked, args, given in bad:
            done = command(asked, *args, token=given)
            assert (done.returncode, done.stdout) == (2, ""), f"{name}: {done}"
            assert done.stderr.strip() and (given or "hl_") not in done.stderr, f"{name}: {done.stderr}"
            opened = command(asked, *args, "--fail-open", token=given)
            assert (opened.returncode, opened.stdout) == (0, "") and opened.stderr.strip(), f"{name}: {opened}"
    # Refusing to let an agent stop would keep it at work.
    assert command(payload("Stop", "s-1", {}), "--url", "http://127.0.0.1:1").returncode == 1


# ── the real Claude Code, by its settings ──


class ClaudeCode:
    """The program of the package claude-agent-sdk, with a home of its own and a model that is scripted."""

    def __init__(self, home: Path):
        import claude_agent_sdk

        self.program = Path(claude_agent_sdk.__file__).parent / "_bundled/claude"
        if not self.program.exists():
            pytest.fail(f"expected Claude Code at {self.program}: install claude-agent-sdk from its wheel")
        self.home = home
        self.ran = home / "ran"
        home.mkdir(exist_ok=True)

    def env(self, model: FakeAnthropic, url: str, token: str) -> dict[str, str]:
        # The hook's command is found by its name, whatever the program under test is called.
        tools = self.home / "bin"
        tools.mkdir(exist_ok=True)
        if not (tools / "haltline").exists():
            (tools / "haltline").symlink_to(BINARY)
        return harness_environment(url, token) | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "ANTHROPIC_BASE_URL": model.url,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
        }

    def run(self, settings: str, url: str, token: str, script: list, prompt: str = "please", *more: str):
        text = (EXAMPLES / "claude-agent-sdk" / settings).read_text().replace("http://127.0.0.1:8088", url)
        (self.home / "settings.json").write_text(text)
        args = ["-p", prompt, "--output-format", "json", "--model", "scripted", "--allowedTools", "Bash"]
        args += ["--settings", str(self.home / "settings.json"), *more]
        with FakeAnthropic(script) as model:
            done = subprocess.run(
                [str(self.program), *args], env=self.env(model, url, token), cwd=self.home,
                capture_output=True, text=True, timeout=RUN_SECONDS_MAX,
            )  # fmt: skip
        try:
            return json.loads(done.stdout)["result"], model
        except (ValueError, KeyError):
            pytest.fail(f"expected an answer of Claude Code, got {done}")


def bash(command: str) -> dict:
    return {"name": "Bash", "input": {"command": command, "description": "does something"}}


@pytest.mark.parametrize("settings", ["settings.http.json", "settings.command.json"])
def test_claude_code_with_the_settings_of_the_example(guarded: Guarded, tmp_path: Path, settings: str):
    claude, url, token = ClaudeCode(tmp_path / "home"), guarded.server.url, guarded.harness

    def run(command: str, prompt: str = "please", token: str = token, *more: str):
        claude.ran.unlink(missing_ok=True)
        return claude.run(settings, url, token, [bash(command), "finished"], prompt, *more)

    session = str(uuid.uuid4())
    result, model = run("echo fine > ran", "please", token, "--session-id", session)
    assert (result, claude.ran.exists()) == ("finished", True), model.results()
    guarded.wait_for_trail(session, [("message", None), ("tool_call", "Bash"), ("tool_result", "Bash")])
    for name, command, rule in [
        ("refused", f"echo {BAD_COMMAND} > ran", "bad-command"),
        ("needs a person, and nobody is there", f"echo {ASK_COMMAND} > ran", "ask-command"),
    ]:
        result, model = run(command)
        assert (result, claude.ran.exists()) == ("finished", False), f"{name}: {model.results()}"
        assert rule in json.dumps(model.results()), f"{name}: expected the model to be told why: {model.results()}"
    first, last = BAD_RESULT.split(" on ")
    result, model = run(f"printf '%s on %s' '{first}' '{last}' | tee ran")
    assert claude.ran.exists() and "bad-result" in json.dumps(model.requests[-1]), "expected the model to be warned"
    halted = str(uuid.uuid4())
    guarded.halt(halted)
    for name, prompt, given, more in [
        ("prompt refused", BAD_PROMPT, token, []),
        ("halted", "please", token, ["--session-id", halted]),
        ("wrong token", "please", "hl_wrong", []),
    ]:
        result, model = run("echo no > ran", prompt, given, *more)
        assert model.requests == [] and not claude.ran.exists(), f"{name}: expected no question to the model, got {result}"
    guarded.server.stop()
    result, model = run("echo no > ran")
    assert model.requests == [] and not claude.ran.exists(), f"server gone: expected nothing to happen, got {result}"


# ── the real Claude Code, by the callbacks of the example ──


@pytest.fixture
def agent(guarded: Guarded, example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs one prompt through the Agent SDK with the example's guard; gives what the model was told, and what ran."""
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC", "CLAUDE")):
            monkeypatch.delenv(name)
    claude = ClaudeCode(tmp_path / "home")

    def run(script: list, prompt: str = "please", session: str | None = None, person_seconds: float = 20):
        from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, query

        module = example("claude-agent-sdk", "haltline_guard")
        guard = module.HaltlineGuard(person_seconds=person_seconds)
        claude.ran.unlink(missing_ok=True)

        async def ask(options) -> list:
            return [message async for message in query(prompt=prompt, options=options)]

        with FakeAnthropic(script) as model:
            env = claude.env(model, guarded.server.url, guarded.harness)
            options = ClaudeAgentOptions(
                **guard.options(), env=env, cwd=claude.home, model="scripted", setting_sources=[],
                session_id=session, allowed_tools=["Bash(echo:*)"],
            )  # fmt: skip
            messages = asyncio.run(asyncio.wait_for(ask(options), RUN_SECONDS_MAX))
        results = [message.result for message in messages if isinstance(message, ResultMessage)]
        return results, model, claude.ran.exists()

    return run


def test_agent_sdk_runs_what_it_may(guarded: Guarded, agent):
    session = str(uuid.uuid4())
    results, model, ran = agent([bash("echo fine > ran"), "finished"], session=session)
    assert (results, ran) == (["finished"], True), model.results()
    guarded.wait_for_trail(session, [("message", None), ("tool_call", "Bash"), ("tool_result", "Bash")])
    results, model, ran = agent([bash(f"echo {BAD_COMMAND} > ran"), "finished"])
    assert (results, ran) == (["finished"], False) and "bad-command" in json.dumps(model.results()), model.results()
    results, model, ran = agent(["never said"], BAD_PROMPT)
    assert model.requests == [], f"expected the prompt not to reach the model, got {results}"


def test_agent_sdk_waits_for_a_person(guarded: Guarded, agent):
    for answer, runs in [("approve", True), ("deny", False), ("dry_run", False), (None, False)]:
        script = [bash(f"echo {ASK_COMMAND} > ran"), "finished"]
        with guarded.operator(answer):
            _, model, ran = agent(script, person_seconds=20 if answer else 0.5)
        assert ran == runs, f"{answer}: {model.results()}"
        assert model.results()[0]["is_error"] == (not runs), f"{answer}: {model.results()}"


def test_agent_sdk_stops(guarded: Guarded, agent):
    session = str(uuid.uuid4())
    guarded.halt(session)
    _, model, ran = agent([bash("echo no > ran")], session=session)
    assert (model.requests, ran) == ([], False), "halted: expected nothing to reach the model"
    guarded.server.stop()
    _, model, ran = agent([bash("echo no > ran")])
    assert (model.requests, ran) == ([], False), "server gone: expected nothing to reach the model"


def test_agent_sdk_callbacks_fail_closed_each_for_itself(guarded: Guarded, example, monkeypatch):
    from claude_agent_sdk import PermissionResultAllow, PermissionResultDeny, ToolPermissionContext

    module = example("claude-agent-sdk", "haltline_guard")
    guard, context = module.HaltlineGuard(), ToolPermissionContext(tool_use_id="toolu_1")
    early = asyncio.run(guard.can_use_tool("lookup_order", {}, context))
    assert isinstance(early, PermissionResultDeny), "expected a call without any hook before it to be refused"
    guarded.server.stop()
    expected = {
        "PreToolUse": before("deny"),
        "UserPromptSubmit": {"decision": "block", "reason": ...},
        "PostToolUse": {"continue_": False, "stopReason": ...},
    }
    for hook, answer in expected.items():
        got = asyncio.run(guard.hook(payload(hook, "s-1", LOOK), "toolu_1", {"signal": None}))
        assert like(answer, got), f"{hook}: expected {answer}, got {got}"
    late = asyncio.run(guard.can_use_tool("lookup_order", {}, context))
    assert isinstance(late, PermissionResultDeny) and "cannot be asked" in late.message, late
    monkeypatch.setenv("HALTLINE_FAIL_OPEN", "1")
    opened = module.HaltlineGuard()
    for hook in expected:
        assert asyncio.run(opened.hook(payload(hook, "s-1", LOOK), "toolu_1", {"signal": None})) == {}, hook
    assert isinstance(asyncio.run(opened.can_use_tool("lookup_order", {}, context)), PermissionResultAllow)


def test_a_token_without_the_scope_is_refused(haltline):
    token, toml = new_token("events-only", ["ingest"])
    server = haltline(toml)
    answer = server.post(ROUTE, payload("PreToolUse", "s-1", LOOK), token)
    assert (answer.status, answer.json["error"]["code"]) == (403, "forbidden"), answer
