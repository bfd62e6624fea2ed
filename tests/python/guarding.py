"""What the tests of examples, hooks and credentials share: a server whose answers are known, and a person who answers."""

import contextlib
import importlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from conftest import REPOSITORY, Server, new_token, write_rule

EXAMPLES = REPOSITORY / "deploy/examples"
TENANT = "acme"
BAD_PROMPT = "purple giraffe on monday"
BAD_RESULT = "green walrus on friday"
BAD_COMMAND = "brown badger on sunday"
ASK_COMMAND = "yellow lemur on tuesday"


@dataclass
class Guarded:
    """A server: `lookup_order` is allowed, `close_account` denied, `issue_refund` needs a person, `wire_money` halts.

    Calls with BAD_COMMAND are denied as well, calls with ASK_COMMAND need a person; BAD_PROMPT and BAD_RESULT are refused.
    """

    server: Server
    harness: str  # token with gate and ingest
    gate_only: str
    ops: str  # token with read and halt

    def halt(self, session: str) -> None:
        answer = self.server.post(
            f"/v1/sessions/{session}/halt?tenant={TENANT}", {"by": "ana", "reason": "looks stolen"}, self.ops
        )
        assert answer.status == 200, answer

    def trail(self, session: str) -> list[tuple[str, str | None]]:
        """Kinds and tools of what the server was told of a session."""
        answer = self.server.get(f"/v1/sessions/{session}?tenant={TENANT}", self.ops)
        return [(event["kind"], event.get("tool")) for event in answer.json.get("trail", [])]

    def wait_for_trail(self, session: str, expected: list[tuple[str, str | None]]) -> None:
        self.server.wait_until(lambda: self.trail(session) == expected, f"{session} to have the trail {expected}")

    def is_halted(self, session: str) -> bool:
        return self.server.get(f"/v1/sessions/{session}?tenant={TENANT}", self.ops).json["state"] == "halted"

    def pending(self) -> list[dict]:
        answer = self.server.get(f"/v1/confirmations?tenant={TENANT}&state=pending", self.ops)
        assert answer.status == 200, answer
        return answer.json["confirmations"]

    def answer(self, confirmation: str, answer: str) -> None:
        body = {"answer": answer, "by": "ana", "reason": "looked at it"}
        said = self.server.post(f"/v1/confirmations/{confirmation}", body, self.ops)
        assert said.status == 200, said

    @contextlib.contextmanager
    def operator(self, answer: str | None) -> Iterator[list[dict]]:
        """A person who gives this answer to whatever is asked while the block runs; None never answers."""
        answered: list[dict] = []
        failures: list[Exception] = []
        done = threading.Event()

        def work() -> None:
            while answer and not done.wait(0.05):
                try:
                    for confirmation in self.pending():
                        self.answer(confirmation["id"], answer)
                        answered.append(confirmation)
                except Exception as error:  # told to the test, which else would only see a wait
                    failures.append(error)
                    return

        person = threading.Thread(target=work)
        person.start()
        try:
            yield answered
        finally:
            done.set()
            person.join()
        assert not failures, f"the person could not answer: {failures}"


@pytest.fixture
def guarded(haltline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """The server, and the environment in which the examples find it."""
    rules = tmp_path / "rules"
    write_rule(rules, "no-closing", "deny", "close_account")
    write_rule(rules, "ask-refund", "confirm", "issue_refund")
    write_rule(rules, "bad-prompt", "deny", kind="message", phrase=BAD_PROMPT)
    write_rule(rules, "bad-result", "deny", kind="tool_result", phrase=BAD_RESULT)
    write_rule(rules, "bad-command", "deny", phrase=BAD_COMMAND)
    write_rule(rules, "ask-command", "confirm", phrase=ASK_COMMAND)
    args = write_rule(rules, "halt-wire", "halt", "wire_money")
    harness, first = new_token("harness", ["gate", "ingest"], TENANT)
    gate_only, second = new_token("gate-only", ["gate"], TENANT)
    ops, third = new_token("ops", ["read", "halt"])
    credentials = f'[credentials]\nkey_file = "{tmp_path}/credentials.pem"\nissuer = "haltline-test"\nttl_max = "10m"\n'
    config = "\n".join([first, second, third, credentials])
    server = haltline(config, args)
    for name, value in harness_environment(server.url, harness).items():
        monkeypatch.setenv(name, value)
    return Guarded(server, harness, gate_only, ops)


def harness_environment(url: str, token: str) -> dict[str, str]:
    here = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    return here | {
        "HALTLINE_URL": url,
        "HALTLINE_TOKEN": token,
        "HALTLINE_TENANT": TENANT,
        "HALTLINE_AGENT": "billing-bot",
        "HALTLINE_FAIL_OPEN": "",
    }


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch):
    """Imports a module of one example's folder. Folders have files of the same names, so the others' are forgotten."""

    def load(folder: str, module: str) -> ModuleType:
        monkeypatch.syspath_prepend(EXAMPLES / folder)
        for name in [path.stem for path in EXAMPLES.glob("*/*.py")]:
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module(module)

    return load
