"""A small client of Haltline's gate: standard library only, the same file in each Python example.

The environment says where Haltline is: HALTLINE_URL, HALTLINE_TOKEN (scopes `gate` and `ingest`), HALTLINE_TENANT,
HALTLINE_AGENT. What cannot be asked is refused, unless HALTLINE_FAIL_OPEN=1. Neither tokens nor arguments are logged.
"""

import http.client
import json
import logging
import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

WAIT_SECONDS = 20  # one question for a person's answer; Haltline holds it up to 30 s
log = logging.getLogger("haltline")


class Unavailable(Exception):
    """Haltline cannot be asked: not reached, too slow, or it answered an error."""


@dataclass(frozen=True)
class Answer:
    decision: str  # allow, confirm, deny
    reason: str = ""
    halted: bool = False
    confirmation: str | None = None  # its id, where a person is asked
    dry_run: bool = False  # allowed as a rehearsal only


class Haltline:
    def __init__(self, timeout: float = 5.0):
        self.url = urlsplit(os.environ.get("HALTLINE_URL", "http://127.0.0.1:8088"))
        self.tenant = os.environ.get("HALTLINE_TENANT", "default")
        self.agent = os.environ.get("HALTLINE_AGENT")
        self.fail_open = os.environ.get("HALTLINE_FAIL_OPEN") == "1"
        self.timeout = timeout
        self._token = os.environ.get("HALTLINE_TOKEN", "").strip()

    def request(self, method: str, path: str, body: Any = None, extra_seconds: float = 0) -> Any:
        """One request, without redirects; anything but an answer of 200 raises `Unavailable`."""
        secure = self.url.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        connection = connect(self.url.netloc, timeout=self.timeout + extra_seconds)
        try:
            connection.request(method, self.url.path.rstrip("/") + path, body and json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise Unavailable(f"haltline answered {response.status} to {path.split('?')[0]}")
            return json.loads(text)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"haltline cannot be asked: {type(error).__name__}") from error
        finally:
            connection.close()

    def gate(self, session: str, tool: str | None = None, args: Any = None, **more: Any) -> Answer:
        """May this call go on? Without a tool: may this session go on?"""
        body = {"session": session, "tenant": self.tenant, "agent": self.agent}
        if tool is not None:
            body["action"] = {"kind": "tool_call", "tool": tool, "args": args, "call_id": more.get("call_id")}
        if more.get("confirmation"):
            body["confirmation"] = more["confirmation"]
        try:
            said = self.request("POST", "/v1/gate", body)
            return Answer(
                said["decision"] if said["decision"] in ("allow", "confirm") else "deny",
                said.get("reason") or said.get("rule") or "",
                bool(said["halted"]),
                (said.get("confirmation") or {}).get("id"),
                bool(said.get("dry_run")),
            )
        except (Unavailable, KeyError, TypeError, AttributeError) as error:
            let_pass = self.fail_open and "confirmation" not in body  # what a person was asked for needs the yes
            log.warning("no decision: %s; %s", error, "ALLOWED" if let_pass else "refused")
            return Answer("allow" if let_pass else "deny", f"no decision: {error}")

    def gate_and_wait(self, session: str, tool: str, args: Any, call_id: str | None, seconds: float) -> Answer:
        """Asks, and where a person has to be asked waits for the answer; no answer in time is a no."""
        answer = self.gate(session, tool, args, call_id=call_id)
        deadline = time.monotonic() + seconds
        while answer.decision == "confirm" and (left := deadline - time.monotonic()) > 0:
            try:
                self.answered(answer.confirmation, min(left, WAIT_SECONDS))
            except Unavailable as error:
                return Answer("deny", str(error))
            answer = self.gate(session, tool, args, call_id=call_id, confirmation=answer.confirmation)
        return answer

    def answered(self, confirmation: str | None, seconds: float = 0) -> dict[str, Any]:
        """The confirmation, at once when it is answered, else after this many seconds."""
        path = f"/v1/confirmations/{quote(confirmation or '', safe='')}?wait={max(1, int(seconds))}"
        return self.request("GET", path, extra_seconds=seconds)

    def events(self, *events: dict[str, Any]) -> None:
        """What happened, for the rules that look at more than one call. Returns when it is durable."""
        if not events:
            return
        common = {"v": 1, "tenant": self.tenant} | ({"agent": {"id": self.agent}} if self.agent else {})
        try:
            said = self.request("POST", "/v1/events", [common | event for event in events])
            if said.get("accepted") != len(events):
                raise Unavailable(f"haltline accepted {said.get('accepted')} of {len(events)} events")
        except Unavailable as error:
            if not self.fail_open:
                raise
            log.warning("%d events lost: %s", len(events), error)
