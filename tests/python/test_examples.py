"""The examples under deploy/examples, against the real program and the real packages; only the models are scripted.

For each: an allowed call runs, a refused one does not, a person's answer counts, a halted session stops, and without
Haltline nothing runs.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from guarding import EXAMPLES, Guarded

RUN_SECONDS_MAX = 90
GATE_SH = EXAMPLES / "shell/gate.sh"


def test_the_client_is_the_same_in_each_folder():
    copies = {path.parent.name: path.read_text() for path in EXAMPLES.glob("*/haltline_client.py")}
    assert len(copies) == 4 and len(set(copies.values())) == 1, f"expected four equal copies, got {sorted(copies)}"


# ── the client that the Python examples share ──


def test_what_cannot_be_asked_is_refused_unless_the_switch_is_set(guarded: Guarded, example, monkeypatch):
    client = example("langgraph", "haltline_client")
    rows = [
        ("HALTLINE_TOKEN", "hl_wrong", "answered 401"),
        ("HALTLINE_TENANT", "globex", "answered 403"),
        ("HALTLINE_TOKEN", "hl_two\nlines", "ValueError"),
        ("HALTLINE_URL", guarded.server.url + "/nowhere", "answered 404"),
        ("HALTLINE_URL", "http://127.0.0.1:1", "ConnectionRefusedError"),
        ("HALTLINE_URL", guarded.server.url.replace("http:", "https:"), "SSLError"),
    ]
    for name, value, why in rows:
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            closed = client.Haltline()
            answer = closed.gate("s-1", "lookup_order", {"order": "A1"})
            assert (answer.decision, answer.halted) == ("deny", False), f"{name}={value}: {answer}"
            assert why in answer.reason and value not in answer.reason, f"{name}={value}: {answer.reason}"
            with pytest.raises(client.Unavailable):
                closed.events({"session": "s-1", "kind": "message", "text": "hello"})
            patch.setenv("HALTLINE_FAIL_OPEN", "1")
            open_one = client.Haltline()
            assert open_one.gate("s-1", "lookup_order", {"order": "A1"}).decision == "allow", f"{name}={value}"
            asked = open_one.gate("s-1", "issue_refund", {"order": "A1"}, confirmation="c_1")
            assert asked.decision == "deny", "what a person was asked for is never let pass"
            open_one.events({"session": "s-1", "kind": "message", "text": "hello"})
    allowed = client.Haltline().gate("s-1", "lookup_order", {"order": "A1"})
    assert (allowed.decision, allowed.dry_run) == ("allow", False), allowed


def test_a_server_that_never_answers_is_given_up(example, monkeypatch):
    client = example("langgraph", "haltline_client")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HALTLINE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        answer = client.Haltline(timeout=0.2).gate("s-1", "lookup_order", {})
    assert answer.decision == "deny" and "TimeoutError" in answer.reason, answer


# ── shell ──


def shells() -> list[str]:
    return [shell for shell in ("sh", "dash", "bash", "busybox") if shutil.which(shell)]


def gate_sh(session: str, *command: str, shell: str = "sh", **env: str) -> subprocess.CompletedProcess:
    start = [shell, *(["sh"] if shell == "busybox" else []), str(GATE_SH)]
    variables = {**os.environ, "HALTLINE_SESSION": session, **env}
    return subprocess.run([*start, *command], env=variables, capture_output=True, text=True, timeout=60)


def test_the_shell_wrapper_runs_what_it_may(guarded: Guarded, tmp_path: Path):
    words = ["plain", "", "two words", "it's", 'say "hi"', "back\\slash", "line\nbreak\n", "tab\there"]
    words += ["grüße 🦉", "-n", "$HOME", "\x1b"]
    for shell in shells():
        done = gate_sh("sh-1", "printf", "%s|", *words, shell=shell)
        assert (done.returncode, done.stdout) == (0, "".join(f"{word}|" for word in words)), f"{shell}: {done}"
        assert gate_sh("sh-1", "sh", "-c", "exit 7", shell=shell).returncode == 7, "the command's own exit code"
        seen = gate_sh("sh-1", "sh", "-c", 'printf %s "[${HALTLINE_TOKEN-}${HALTLINE_TOKEN_FILE-}]"', shell=shell)
        assert seen.stdout == "[]", f"{shell}: expected the command not to see the token, got {seen}"
    token_file = tmp_path / "token"
    token_file.write_text(guarded.gate_only + "\n")
    done = gate_sh("sh-1", "echo", "ran", HALTLINE_TOKEN="", HALTLINE_TOKEN_FILE=str(token_file))
    assert (done.returncode, done.stdout) == (0, "ran\n"), done


def test_the_shell_wrapper_refuses(guarded: Guarded, tmp_path: Path):
    guarded.halt("sh-halted")
    ran = tmp_path / "ran"
    touch = ["touch", str(ran)]
    rows: list[tuple[str, list[str], dict[str, str], int, str]] = [
        ("refused", touch, {"HALTLINE_TOOL": "close_account"}, 77, "no-closing"),
        ("by a rule that halts", touch, {"HALTLINE_TOOL": "wire_money"}, 77, "halt-wire"),
        ("nobody answers", touch, {"HALTLINE_TOOL": "issue_refund"}, 75, "c_"),
        ("nobody answers in time", touch, {"HALTLINE_TOOL": "issue_refund", "HALTLINE_WAIT": "1"}, 75, "c_"),
        ("wrong token", touch, {"HALTLINE_TOKEN": "hl_wrong"}, 69, "cannot be asked"),
        ("other tenant", touch, {"HALTLINE_TENANT": "globex"}, 69, "cannot be asked"),
        ("broken token", touch, {"HALTLINE_TOKEN": 'x"\nurl = "http://evil.example'}, 64, "expected a token"),
        ("no token file", touch, {"HALTLINE_TOKEN_FILE": str(tmp_path / "none")}, 64, "HALTLINE_TOKEN_FILE"),
        ("no command", [], {}, 64, "expected a command"),
        ("an option", ["-x"], {}, 64, "expected a command"),
    ]
    for name, command, env, code, said in rows:
        done = gate_sh("sh-2", *command, **env)
        assert (done.returncode, ran.exists()) == (code, False), f"{name}: expected {code}, got {done}"
        assert said in done.stderr and guarded.harness not in done.stderr, f"{name}: {done.stderr}"
    assert gate_sh("", *touch).returncode == 64, "expected a session to be needed"
    halted = gate_sh("sh-halted", *touch)
    assert (halted.returncode, ran.exists()) == (79, False) and "looks stolen" in halted.stderr, halted
    dangerous = gate_sh("sh-3", "sh", "-c", "exit 3; mkfs.ext4 /dev/sdz")  # would end before it ruins anything
    assert dangerous.returncode == 77, f"expected the packs' own shell rules to read the command: {dangerous}"


def test_the_shell_wrapper_waits_for_a_person(guarded: Guarded, tmp_path: Path):
    for answer, code in [("approve", 0), ("deny", 77), ("dry_run", 76)]:
        ran, session = tmp_path / answer, f"sh-{answer}"
        with guarded.operator(answer) as answered:
            done = gate_sh(session, "touch", str(ran), HALTLINE_TOOL="issue_refund", HALTLINE_WAIT="20")
        assert (done.returncode, ran.exists()) == (code, code == 0), f"{answer}: {done}"
        assert [confirmation["session"] for confirmation in answered] == [session], f"{answer}: {answered}"


def test_the_shell_wrapper_fails_closed(guarded: Guarded, tmp_path: Path):
    guarded.server.stop()
    ran = tmp_path / "ran"
    done = gate_sh("sh-5", "touch", str(ran))
    assert (done.returncode, ran.exists()) == (69, False), done
    done = gate_sh("sh-5", "touch", str(ran), HALTLINE_FAIL_OPEN="1")
    assert (done.returncode, ran.exists()) == (0, True) and "all the same" in done.stderr, done


# ── LangGraph ──


class Graph:
    """The example's graph, with a model that says what it is told to, and tools that note what ran."""

    def __init__(self, example, *replies):
        from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
        from langchain_core.messages import AIMessage
        from langchain_core.tools import tool
        from langgraph.checkpoint.memory import InMemorySaver

        self.ran: list[tuple[str, str]] = []

        def named(name: str):
            def run(order: str) -> str:
                """Does something with an order."""
                self.ran.append((name, order))
                return f"{name} done"

            return tool(name)(run)

        said = [
            AIMessage(reply)
            if isinstance(reply, str)
            # The same id twice: ids come from the model, and a refused call must not ride on an allowed one's.
            else AIMessage("", tool_calls=[{"name": n, "args": {"order": o}, "id": "same"} for n, o in reply])
            for reply in replies
        ]
        agent = example("langgraph", "guarded_agent")
        tools = [named(name) for name in ("lookup_order", "close_account", "issue_refund", "wire_money")]
        model = GenericFakeChatModel(messages=iter(said))
        self.client = agent.Haltline()
        self.graph = agent.guarded_agent(model, tools, self.client, checkpointer=InMemorySaver())

    def run(self, session: str, text: str = "please") -> dict:
        return self.graph.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": session}})

    def resume(self, session: str) -> dict:
        from langgraph.types import Command

        return self.graph.invoke(Command(resume=True), {"configurable": {"thread_id": session}})


def test_langgraph_runs_what_it_may_and_tells_the_rest(guarded: Guarded, example):
    graph = Graph(example, [("lookup_order", "A1"), ("close_account", "A1")], "done")
    state = graph.run("lg-1")
    assert graph.ran == [("lookup_order", "A1")], f"expected the allowed call only, got {graph.ran}"
    texts = [message.content for message in state["messages"] if message.type == "tool"]
    assert len(texts) == 2 and any("no-closing" in text for text in texts), texts
    assert state["messages"][-1].content == "done" and not state["halted"]
    told = [("message", None), ("tool_call", "lookup_order"), ("tool_call", "close_account")]
    guarded.wait_for_trail("lg-1", [*told, ("tool_result", "lookup_order"), ("message", None)])


def test_langgraph_stops_a_halted_session(guarded: Guarded, example):
    graph = Graph(example, [("wire_money", "A1")], "done")
    graph.run("lg-2")
    assert graph.ran == [], "expected the call that halts not to run"
    guarded.server.wait_until(lambda: guarded.is_halted("lg-2"), "the event of the call to halt lg-2")
    halted = Graph(example, [("lookup_order", "A2"), ("issue_refund", "A2")], "never said")
    state = halted.run("lg-2")
    assert (halted.ran, state["halted"]) == ([], True), (halted.ran, state)
    assert [message.type for message in state["messages"]] == ["human", "ai", "tool", "tool"], state["messages"]


def test_langgraph_is_interrupted_for_a_person(guarded: Guarded, example):
    for answer, runs in [("approve", True), ("deny", False), ("dry_run", False)]:
        session, graph = f"lg-{answer}", Graph(example, [("lookup_order", "A1"), ("issue_refund", "A1")], "done")
        state = graph.run(session)
        pending = [confirmation["id"] for confirmation in guarded.pending()]
        assert state["__interrupt__"][0].value == {"confirmations": pending} and len(pending) == 1, (state, pending)
        again = graph.resume(session)
        assert again["__interrupt__"][0].value == {"confirmations": pending}, "expected resuming to be no permission"
        assert graph.ran == [], f"{answer}: {graph.ran}"
        guarded.answer(pending[0], answer)
        state = graph.resume(session)
        ran = [("lookup_order", "A1"), *([("issue_refund", "A1")] if runs else [])]
        assert sorted(graph.ran) == sorted(ran), f"{answer}: expected {ran}, got {graph.ran}"
        assert state["messages"][-1].content == "done" and "__interrupt__" not in state, f"{answer}: {state}"
    # A yes holds once, for that very call of that session.
    for session, order in [("lg-approve", "A1"), ("lg-approve-2", "A2"), ("lg-other", "A1")]:
        again = Graph(example, [("issue_refund", order)], "done")
        assert "__interrupt__" in again.run(session) and again.ran == [], f"{session} {order}: {again.ran}"


def test_langgraph_stops_when_the_session_is_halted_while_a_person_thinks(guarded: Guarded, example):
    graph = Graph(example, [("lookup_order", "A1"), ("issue_refund", "A1")], "never said")
    graph.run("lg-4")
    guarded.halt("lg-4")
    state = graph.resume("lg-4")
    assert (graph.ran, state["halted"]) == ([], True), (graph.ran, state)


def test_langgraph_fails_closed(guarded: Guarded, example, monkeypatch):
    closed = Graph(example, [("lookup_order", "A1")], "done")
    with monkeypatch.context() as patch:
        patch.setenv("HALTLINE_FAIL_OPEN", "1")
        opened = Graph(example, [("lookup_order", "A1")], "done")
    guarded.server.stop()
    with pytest.raises(Exception, match="cannot be asked"):
        closed.run("lg-5")
    assert closed.ran == [] and opened.run("lg-5")["messages"][-1].content == "done"
    assert opened.ran == [("lookup_order", "A1")]


# ── LangChain ──


def test_the_langchain_callback_tells_and_stops(guarded: Guarded, example):
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.tools import StructuredTool

    module = example("langchain-callback", "haltline_callback")
    ran: list[str] = []

    def named(name: str) -> StructuredTool:
        def run(order: str) -> str:
            """Does something with an order."""
            ran.append(name)
            return f"{name} done"

        return StructuredTool.from_function(run, name=name)

    def config(session: str) -> dict:
        return {"callbacks": [module.HaltlineCallback(session, module.Haltline())]}

    with_callback = config("lc-1")
    GenericFakeChatModel(messages=iter(["hello"])).invoke("hi", with_callback)
    assert named("lookup_order").invoke({"order": "A1"}, with_callback) == "lookup_order done"
    assert asyncio.run(named("lookup_order").ainvoke({"order": "A2"}, with_callback)) == "lookup_order done"
    for name in ("close_account", "issue_refund", "wire_money"):
        with pytest.raises(module.Refused):
            named(name).invoke({"order": "A1"}, config("lc-2"))
        with pytest.raises(module.Refused):
            asyncio.run(named(name).ainvoke({"order": "A1"}, config("lc-2")))
    assert ran == ["lookup_order", "lookup_order"], f"expected the allowed calls only, got {ran}"
    call = [("tool_call", "lookup_order"), ("tool_result", "lookup_order")]
    guarded.wait_for_trail("lc-1", [("message", None), ("message", None), *call, *call])
    guarded.halt("lc-1")
    with pytest.raises(module.Refused, match="looks stolen"):
        named("lookup_order").invoke({"order": "A1"}, config("lc-1"))
    guarded.server.stop()
    with pytest.raises(Exception, match="cannot be asked"):
        named("lookup_order").invoke({"order": "A1"}, config("lc-3"))
    assert len(ran) == 2, ran


# ── OpenAI Agents SDK ──


class OpenAiRun:
    """The example's guarded run, with a model that says what it is told to, and tools that note what ran."""

    def __init__(self, example, *replies, person_seconds: float = 20):
        import agents
        from agents.items import ModelResponse
        from agents.models.interface import Model
        from openai.types.responses import Response, ResponseCompletedEvent, ResponseFunctionToolCall
        from openai.types.responses import ResponseOutputMessage, ResponseOutputText

        module = example("openai-agents", "guarded_run")
        self.module, self.person_seconds = module, person_seconds
        self.ran: list[str] = []
        self.thinking = threading.Event()
        run = self

        class Scripted(Model):
            def __init__(self):
                self.turn = -1

            def say(self) -> list:
                self.turn += 1
                reply = replies[self.turn]
                if isinstance(reply, str):
                    text = ResponseOutputText(type="output_text", text=reply, annotations=[])
                    message = {"id": f"m{self.turn}", "type": "message", "role": "assistant", "status": "completed"}
                    return [ResponseOutputMessage(content=[text], **message)]
                return [
                    ResponseFunctionToolCall(
                        type="function_call", call_id=f"call-{self.turn}-{i}", name=name, arguments='{"order": "A1"}'
                    )
                    for i, name in enumerate(reply)
                ]

            async def get_response(self, *_, **__) -> ModelResponse:
                return ModelResponse(output=self.say(), usage=agents.Usage(), response_id=None)

            async def stream_response(self, *_, **__):
                if replies[self.turn + 1] == "thinks for ever":
                    run.thinking.set()
                    await asyncio.Event().wait()
                common = {"id": "r", "created_at": 0, "model": "scripted", "object": "response", "tools": []}
                response = Response(output=self.say(), tool_choice="auto", parallel_tool_calls=True, **common)
                yield ResponseCompletedEvent(type="response.completed", response=response, sequence_number=0)

        def named(name: str):
            def tool(order: str) -> str:
                """Does something with an order."""
                self.ran.append(name)
                return f"{name} done"

            guardrails = [module.ask_haltline]
            return agents.function_tool(tool, name_override=name, tool_input_guardrails=guardrails)

        tools = [named(name) for name in ("lookup_order", "close_account", "issue_refund", "wire_money")]
        self.agent = agents.Agent(name="billing", model=Scripted(), tools=tools)

    def run(self, session: str):
        context = self.module.Session(session, self.module.Haltline(), self.person_seconds)
        run = self.module.run_guarded(self.agent, "please", context)
        return asyncio.run(asyncio.wait_for(run, RUN_SECONDS_MAX))

    def outputs(self, result) -> list[str]:
        return [item["output"] for item in result.to_input_list() if item.get("type") == "function_call_output"]


def test_openai_agents_runs_what_it_may_and_tells_the_rest(guarded: Guarded, example):
    run = OpenAiRun(example, ["lookup_order", "close_account"], "done")
    result = run.run("oa-1")
    assert (run.ran, result.final_output) == (["lookup_order"], "done")
    done, refused = run.outputs(result)
    assert done == "lookup_order done" and refused.startswith("not carried out: no-closing"), (done, refused)
    calls = [("tool_call", "lookup_order"), ("tool_call", "close_account")]
    results = [("tool_result", "lookup_order"), ("tool_result", "close_account")]
    guarded.wait_for_trail("oa-1", [("message", None), *calls, *results, ("message", None)])


def test_openai_agents_waits_for_a_person(guarded: Guarded, example):
    for answer, runs in [("approve", True), ("deny", False), ("dry_run", False), (None, False)]:
        run = OpenAiRun(example, ["issue_refund"], "done", person_seconds=20 if answer else 0.5)
        with guarded.operator(answer):
            result = run.run(f"oa-{answer}")
        assert run.ran == (["issue_refund"] if runs else []), f"{answer}: {run.ran}"
        assert run.outputs(result)[0].startswith("not carried out") != runs, f"{answer}: {run.outputs(result)}"
        assert result.final_output == "done", answer


def test_openai_agents_stops_a_halted_session(guarded: Guarded, example):
    guarded.halt("oa-3")
    run = OpenAiRun(example, ["lookup_order"], "never said")
    with pytest.raises(run.module.Halted, match="looks stolen"):
        run.run("oa-3")
    assert run.ran == [], run.ran
    # In the middle of the model's answer, which would never end.
    run = OpenAiRun(example, ["lookup_order"], "thinks for ever")

    def halt_when_thinking() -> None:
        if run.thinking.wait(30):
            guarded.halt("oa-4")

    operator = threading.Thread(target=halt_when_thinking)
    operator.start()
    with pytest.raises(run.module.Halted, match="looks stolen"):
        run.run("oa-4")
    operator.join()
    assert run.ran == ["lookup_order"], run.ran


def test_openai_agents_fails_closed(guarded: Guarded, example, monkeypatch):
    guarded.server.stop()
    run = OpenAiRun(example, ["lookup_order"], "done")
    with pytest.raises(Exception, match="cannot be asked"):
        run.run("oa-5")
    assert run.ran == []
    monkeypatch.setenv("HALTLINE_FAIL_OPEN", "1")
    assert run.run("oa-5").final_output == "done" and run.ran == ["lookup_order"]
