"""A real `haltline run` for each test: on a free loopback port, with its ledger in a folder of its own.

`haltline(config, args, env)` starts one and waits until it is ready; it is ended by SIGTERM after the test, and an exit
code other than 0 fails the test. Only pytest and the standard library are needed here.
"""

import contextlib
import hashlib
import http.client
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

sys.dont_write_bytecode = True  # the examples are folders that users copy

pytest_plugins = ["guarding"]  # the fixtures `guarded` and `example`

REPOSITORY = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HALTLINE_TEST_BINARY") or REPOSITORY / "target/debug/haltline").resolve()
ADDRESS = re.compile(r"control API and console at (https?://\S+)")
START_SECONDS_MAX = 60
WAIT_SECONDS_MAX = 20
STOP_SECONDS_MAX = 20


class Answer(NamedTuple):
    """`json` is the parsed body, or its text where it is not JSON; `headers` have lower-case names."""

    status: int
    json: Any
    headers: dict[str, str]


class Server:
    """One running `haltline run --source http`."""

    def __init__(self, config: str, args: list[str], env: dict[str, str], directory: Path, tls: ssl.SSLContext | None):
        self.directory = directory
        self.config_file = directory / "haltline.toml"
        self.config_file.write_text(config, encoding="utf-8")
        self.url = ""
        self._args, self._env, self._tls = args, env, tls
        self._listen = "127.0.0.1:0"
        self._expected_exit: int | None = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, the second time on the same port, and waits until it is ready."""
        settings = [f"http.listen={self._listen}", f"ledger.path={self.directory / 'ledger.redb'}"]
        command = [str(BINARY), "run", "--source", "http", "--config", str(self.config_file)]
        command += [part for setting in settings for part in ("--set", setting)] + self._args
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HALTLINE")}
        already = len(self.log())
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=inherited | self._env, cwd=self.directory
            )
        self._expected_exit = 0
        address = self.wait_until(lambda: ADDRESS.search(self.log(), already), "the address in the log", START_SECONDS_MAX)
        self.url = address[1].rstrip("/")
        self._listen = urlsplit(self.url).netloc
        self.wait_until(lambda: self.get("/readyz").status == 200, "/readyz to answer 200", START_SECONDS_MAX)

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """All that it has written to standard output and standard error."""
        path = self.directory / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """Asks it to end and checks that it did so, well. Does nothing the second time."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"expected haltline to end within {STOP_SECONDS_MAX} s of SIGTERM; its log:\n{self.log()}")
        if code != self._expected_exit:
            pytest.fail(f"expected haltline to end with 0, got {code}; its log:\n{self.log()}")

    def kill(self) -> None:
        """Takes it away at once, as a crash would. `start` brings it back."""
        self._process.kill()
        self._process.wait()
        self._process = None

    def hang_up(self) -> None:
        """Asks it to load its rules anew."""
        self._process.send_signal(signal.SIGHUP)

    def connection(self, timeout: float = 40) -> http.client.HTTPConnection:
        """A connection of one's own, for streams and broken requests."""
        address = urlsplit(self.url)
        if address.scheme == "https":
            return http.client.HTTPSConnection(address.hostname, address.port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(address.hostname, address.port, timeout=timeout)

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request. A body that is text or bytes is sent as it is, everything else as JSON."""
        sent = {"content-type": "application/json"} if body is not None else {}
        sent |= {"authorization": f"Bearer {token}"} if token else {}
        sent |= headers or {}
        data = body if body is None or isinstance(body, (bytes, str)) else json.dumps(body)
        connection = self.connection()
        try:
            connection.request(method, path, data.encode() if isinstance(data, str) else data, sent)
            response = connection.getresponse()
            text = response.read().decode("utf-8", errors="replace")
        finally:
            connection.close()
        answered = {name.lower(): value for name, value in response.getheaders()}
        try:
            return Answer(response.status, json.loads(text), answered)
        except ValueError:
            return Answer(response.status, text, answered)

    def get(self, path: str, token: str | None = None, headers: dict[str, str] | None = None) -> Answer:
        return self.request("GET", path, None, token, headers)

    def post(self, path: str, body: Any, token: str | None = None, headers: dict[str, str] | None = None) -> Answer:
        return self.request("POST", path, body, token, headers)

    def post_events(self, events: list[dict], token: str | None = None) -> Answer:
        """Events in their order; the answer comes when they are durable, their effects come later."""
        return self.post("/v1/events", events, token)

    def wait_until(self, fn: Callable[[], Any], what: str, seconds_max: float = WAIT_SECONDS_MAX) -> Any:
        """Calls `fn` until it returns something true, and returns that. Fails with `what` and the log."""
        deadline = time.monotonic() + seconds_max
        latest = None
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                code, self._expected_exit = self._process.returncode, self._process.returncode
                pytest.fail(f"expected {what}; haltline ended with {code} before that; its log:\n{self.log()}")
            try:
                latest = fn()
            except (OSError, http.client.HTTPException) as error:
                latest = error
            if latest and not isinstance(latest, Exception):
                return latest
            time.sleep(0.02)
        pytest.fail(f"expected {what} within {seconds_max} s, last seen: {latest!r}; haltline's log:\n{self.log()}")


@pytest.fixture
def haltline(tmp_path: Path):
    """The factory of servers; all of them are ended after the test."""
    if not shutil.which(BINARY):
        pytest.fail(f"expected the program at {BINARY}: build it by `cargo build`, or set HALTLINE_TEST_BINARY")
    count = itertools.count()
    ended = contextlib.ExitStack()

    def start(
        config: str = "", args: Sequence[str] = (), env: Mapping[str, str] = {}, tls: ssl.SSLContext | None = None
    ) -> Server:
        directory = tmp_path / f"haltline-{next(count)}"
        directory.mkdir()
        server = Server(config, list(args), dict(env), directory, tls)
        ended.callback(server.stop)  # before it starts: one that does not become ready is ended, too
        server.start()
        return server

    with ended:
        yield start


def new_token(name: str, scopes: list[str], tenant: str | None = None) -> tuple[str, str]:
    """A new token, and the settings that make it known."""
    token = "hl_" + secrets.token_urlsafe(32)
    lines = [
        "[[http.tokens]]",
        f"name = {json.dumps(name)}",
        f'hash = "sha256:{hashlib.sha256(token.encode()).hexdigest()}"',
        f"scopes = {json.dumps(scopes)}",
    ]
    if tenant is not None:
        lines.append(f"tenant = {json.dumps(tenant)}")
    return token, "\n".join(lines) + "\n"


def write_rule(
    directory: Path, rule_id: str, action: str, tool: str = "", kind: str = "tool_call", phrase: str = ""
) -> list[str]:
    """A rule of which a test knows when it fires: on events of this kind, of tools of this name, with this phrase.

    Returns the arguments that lay the folder over the packs; several rules may be written into one folder.
    """
    looks_for = f"[match]\nphrases = [{json.dumps(phrase)}]\n" if phrase else '[scope]\nfield = "tool.name"\nin = "*"\n'
    rule = f"""schema = 1
id = {json.dumps(rule_id)}
title = {json.dumps(f"{rule_id}, for the tests")}
description = "Certain, so that a test knows the answer."
severity = "high"
action = {json.dumps(action)}

[when]
kind = {json.dumps(kind)}
{f"tool = {json.dumps(tool)}" if tool else ""}

{looks_for}"""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{rule_id}.toml").write_text(rule, encoding="utf-8")
    return ["--rules", "builtin", "--rules", str(directory)]
