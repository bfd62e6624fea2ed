"""Webhooks of the real program, as their receivers see them.

Signatures are checked with the published libraries for Python and for Node; the shapes for Slack, PagerDuty, Alertmanager
and harnesses field by field. The npm package is taken from `HALTLINE_TEST_NODE_MODULES`, a `node_modules` folder, or is
installed into a folder of this run.
"""

import json
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from base64 import b64encode
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import write_rule
from standardwebhooks import Webhook, WebhookVerificationError

NODE_PACKAGE = "standardwebhooks@1.1.1"
HOSTILE = "<!channel> & <https://evil.example|safe> *bold* @here \u202eback"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ROUTING_KEY = "R0123456789ABCDEF0123456789ABCDEF"


class Request(NamedTuple):
    """What came: `headers` have lower-case names, `body` is as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """Keeps every request. Answers 204, but for paths that begin with a prefix in `answers`: those in turn, the last for ever."""

    def __init__(self):
        self.answers: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, more = receiver._take(Request(self.command, self.path, headers, body, time.monotonic()))
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("content-length", "0")
                self.end_headers()

            do_PUT = do_PATCH = do_DELETE = do_GET = do_POST

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, request: Request) -> tuple[int, dict[str, str]]:
        with self._lock:
            self._requests.append(request)
            for prefix, answers in self.answers.items():
                if request.path.startswith(prefix):
                    return answers.pop(0) if len(answers) > 1 else answers[0]
        return 204, {}

    def at(self, prefix: str) -> list[Request]:
        """What came to paths that begin so."""
        with self._lock:
            return [request for request in self._requests if request.path.startswith(prefix)]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory) -> Path:
    """A folder with the npm package."""
    if given := os.environ.get("HALTLINE_TEST_NODE_MODULES"):
        return Path(given).resolve()
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("expected node and npm, got neither or one; install Node.js to check signatures with the npm package")
    folder = tmp_path_factory.mktemp("node")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", NODE_PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.fail(f"expected npm to install {NODE_PACKAGE}, got:\n{done.stderr}")
    return folder / "node_modules"


VERIFY_IN_NODE = """
const { Webhook } = require("standardwebhooks");
const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
const verdicts = input.map(({ secret, body, headers }) => {
  try { new Webhook(secret).verify(body, headers); return true; } catch (error) { return error.message; }
});
console.log(JSON.stringify(verdicts));
"""


def verify_in_node(node_modules: Path, rows: list[tuple[str, str, dict[str, str]]]) -> list[bool | str]:
    """For each secret, body and headers: true, or what the npm package says against it."""
    rows = [{"secret": secret, "body": body, "headers": headers} for secret, body, headers in rows]
    env = os.environ | {"NODE_PATH": str(node_modules)}
    done = subprocess.run(["node", "-e", VERIFY_IN_NODE], input=json.dumps(rows), capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def new_secret(length: int = 32) -> str:
    return "whsec_" + b64encode(secrets.token_bytes(length)).decode()


def endpoint(name: str, url: str, **settings) -> str:
    """One `[[webhooks]]`; values are JSON, which is TOML for texts, numbers, booleans and lists of them."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"name": name, "url": url, **settings}.items()]
    return "\n".join(["[[webhooks]]", *lines, ""])


def order(server, session: str, what: str, reason: str = "looked at it", tenant: str = "default") -> dict:
    answer = server.post(f"/v1/sessions/{session}/{what}?tenant={tenant}", {"by": "ana", "reason": reason})
    assert answer.status == 200 and answer.json["changed"], answer
    return answer.json["record"]


def resume_ruled(server, session: str, reason: str = "looked at it") -> dict:
    """Lifts a rule's halt. A receiver may hear of it a moment before the API knows it."""
    state = lambda: server.get(f"/v1/sessions/{session}?tenant=acme").json["state"]
    server.wait_until(lambda: state() == "halted", f"{session} to be halted")
    return order(server, session, "resume", reason, tenant="acme")


def tool_call(session: str, tool: str, tenant: str = "acme") -> dict:
    call = {"name": tool, "args": {"n": 1}}
    return {"v": 1, "tenant": tenant, "session": session, "kind": "tool_call", "role": "assistant", "tool": call}


def wait_for(server, receiver: Receiver, prefix: str, count: int) -> list[Request]:
    return server.wait_until(
        lambda: (found := receiver.at(prefix)) and len(found) >= count and found, f"{count} requests to {prefix}"
    )


def refused(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def test_signatures_are_those_of_the_published_libraries(haltline, receiver, node_modules, tmp_path):
    new, old, other = new_secret(64), new_secret(24), new_secret()
    (tmp_path / "secrets").write_text(f"{new}\n{old}\n", encoding="utf-8")
    config = endpoint("rotating", f"{receiver.url}/rotating", secret_file=str(tmp_path / "secrets"))
    config += endpoint("single", f"{receiver.url}/single", secret=other)
    server = haltline(config, write_rule(tmp_path / "rules", "test-stop", "halt", "wipe_disk"))
    assert server.post_events([tool_call("by-rule", "wipe_disk")]).status == 200
    order(server, "by-hand", "halt", f"ünï © {HOSTILE}")
    order(server, "by-hand", "resume")
    rotating, single = wait_for(server, receiver, "/rotating", 3), wait_for(server, receiver, "/single", 3)
    rows, expected = [], []
    for requests, good, bad in [(rotating, [new, old], [other]), (single, [other], [new, old])]:
        assert sorted(r.json["type"] for r in requests) == ["session.halted", "session.halted", "session.resumed"]
        for request in requests:
            assert request.method == "POST" and request.headers["content-type"] == "application/json"
            assert "." not in request.headers["webhook-id"]
            assert len(request.headers["webhook-signature"].split(" ")) == len(good)
            tampered = request.body.replace(b'"by', b'"bY', 1)
            later = request.headers | {"webhook-timestamp": str(int(request.headers["webhook-timestamp"]) + 1)}
            renamed = request.headers | {"webhook-id": "h_other"}
            for secret in good:
                assert Webhook(secret).verify(request.body, request.headers) == request.json
                for body, headers in [(tampered, request.headers), (request.body, later), (request.body, renamed)]:
                    assert refused(secret, body, headers)
                    rows.append((secret, body.decode(), headers))
                    expected.append(False)
                rows.append((secret, request.body.decode(), request.headers))
                expected.append(True)
            for secret in bad:
                assert refused(secret, request.body, request.headers)
                rows.append((secret, request.body.decode(), request.headers))
                expected.append(False)
    verdicts = verify_in_node(node_modules, rows)
    assert [verdict is True for verdict in verdicts] == expected, verdicts
    ids = {request.headers["webhook-id"] for request in rotating}
    assert len(ids) == 3 and ids == {request.headers["webhook-id"] for request in single}


def test_a_retry_has_the_same_id_and_body_and_a_signature_of_its_own_moment(haltline, receiver, node_modules):
    secret = new_secret()
    receiver.answers["/retried"] = [(503, {}), (429, {"retry-after": "2"}), (204, {})]
    server = haltline(endpoint("retried", f"{receiver.url}/retried", secret=secret))
    record = order(server, "s", "halt")
    requests = wait_for(server, receiver, "/retried", 3)
    assert {request.headers["webhook-id"] for request in requests} == {record["id"]}
    assert len({request.body for request in requests}) == 1
    assert requests[2].at - requests[1].at >= 2
    assert int(requests[2].headers["webhook-timestamp"]) > int(requests[0].headers["webhook-timestamp"])
    rows = [(secret, request.body.decode(), request.headers) for request in requests]
    for request in requests:
        Webhook(secret).verify(request.body, request.headers)
    assert verify_in_node(node_modules, rows) == [True, True, True]


def test_the_body_is_the_halt_record(haltline, receiver, tmp_path):
    secret = new_secret()
    server = haltline(
        endpoint("harness", f"{receiver.url}/halts", secret=secret),
        write_rule(tmp_path / "rules", "test-stop", "halt", "wipe_disk"),
    )
    server.post_events([tool_call("s", "wipe_disk")])
    (request,) = wait_for(server, receiver, "/halts", 1)
    body = Webhook(secret).verify(request.body, request.headers)
    assert set(body) == {"type", "timestamp", "data"} and TIME.fullmatch(body["timestamp"])
    data = body["data"]
    assert {key: data[key] for key in ("v", "tenant", "session", "state", "epoch", "by", "rule", "severity")} == {
        "v": 1, "tenant": "acme", "session": "s", "state": "halted", "epoch": 1, "by": "rule", "rule": "test-stop",
        "severity": "high",
    }  # fmt: skip
    assert data["id"] == request.headers["webhook-id"] and data["finding"] and data["event_id"]
    resumed = resume_ruled(server, "s")
    request = wait_for(server, receiver, "/halts", 2)[1]
    assert request.json["type"] == "session.resumed" and request.json["data"] == resumed
    assert resumed["lifted"]["id"] == data["id"] and resumed["lifted"]["rule"] == "test-stop"


def texts(value) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in values for text in texts(item)]


def test_slack_gets_text_that_is_no_markup(haltline, receiver):
    receiver.answers["/services"] = [(429, {"retry-after": "1"}), (200, {})]
    server = haltline(endpoint("chat", f"{receiver.url}/services/T0/B0/swordfish", kind="slack"))
    halt = order(server, "%3C@U1%3E", "halt", HOSTILE)
    first, message = wait_for(server, receiver, "/services", 2)
    assert first.body == message.body and message.at - first.at >= 1
    body = message.json
    assert set(body) == {"text", "blocks", "mrkdwn", "parse", "link_names", "unfurl_links", "unfurl_media"}
    assert (body["mrkdwn"], body["parse"], body["link_names"]) == (False, "none", False)
    assert (body["unfurl_links"], body["unfurl_media"]) == (False, False)
    assert not [text for text in texts(body) if "<" in text or ">" in text or "\u202e" in text]
    escaped = "&lt;!channel&gt; &amp; &lt;https://evil.example|safe&gt; *bold* @here \ufffdback"
    assert body["text"] == f"Agent session halted: &lt;@U1&gt; of default: {escaped}"
    header, fields, reason, context = body["blocks"]
    plain = lambda text: {"type": "plain_text", "text": text, "emoji": False}
    assert header == {"type": "header", "text": plain("Agent session halted")}
    assert fields == {
        "type": "section",
        "fields": [plain("Tenant\ndefault"), plain("Session\n&lt;@U1&gt;"), plain("Rule\noperator"), plain("By\nana")],
    }
    assert reason == {"type": "section", "text": plain(escaped)}
    assert context["type"] == "context" and context["elements"][0]["text"].startswith(f"{halt['id']} · epoch 1 · ")
    assert "webhook-signature" not in message.headers
    assert "swordfish" not in server.log()


def test_pagerduty_opens_an_incident_and_resolves_it(haltline, receiver, tmp_path):
    receiver.answers["/v2"] = [(202, {})]
    server = haltline(
        endpoint("pager", f"{receiver.url}/v2/enqueue", kind="pagerduty", routing_key=ROUTING_KEY),
        write_rule(tmp_path / "rules", "test-stop", "halt", "wipe_disk"),
    )
    server.post_events([tool_call("s", "wipe_disk")])
    (opened,) = wait_for(server, receiver, "/v2/enqueue", 1)
    resumed = resume_ruled(server, "s")
    closed = wait_for(server, receiver, "/v2/enqueue", 2)[1]
    event, payload = opened.json, opened.json["payload"]
    assert set(event) == {"routing_key", "event_action", "dedup_key", "client", "payload"}
    assert (event["routing_key"], event["event_action"], event["client"]) == (ROUTING_KEY, "trigger", "Haltline")
    assert set(payload) == {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
    assert payload["summary"].startswith("Agent session s of acme halted: ") and "wipe_disk" in payload["summary"]
    assert len(payload["summary"]) <= 1024 and len(event["dedup_key"]) <= 255
    assert (payload["source"], payload["severity"], payload["class"]) == ("acme/s", "error", "test-stop")
    assert (payload["component"], payload["group"]) == ("s", "acme") and TIME.fullmatch(payload["timestamp"])
    assert payload["custom_details"]["id"] == resumed["lifted"]["id"]
    assert closed.json == {"routing_key": ROUTING_KEY, "event_action": "resolve", "dedup_key": event["dedup_key"]}
    order(server, "s", "halt", tenant="acme")
    again = wait_for(server, receiver, "/v2/enqueue", 3)[2].json
    assert again["event_action"] == "trigger" and again["dedup_key"] != event["dedup_key"]
    assert ROUTING_KEY not in server.log()


def parsed(time_text: str) -> datetime:
    assert TIME.fullmatch(time_text), time_text
    return datetime.fromisoformat(time_text.replace("Z", "+00:00"))


def test_alertmanager_gets_an_alert_that_ends_with_the_release(haltline, receiver, tmp_path):
    receiver.answers["/prefix"] = [(200, {})]
    config = endpoint("alerts", f"{receiver.url}/prefix", kind="alertmanager", token="let-me-in")
    server = haltline(
        config + 'labels = { team = "agents" }\n',
        write_rule(tmp_path / "rules", "test-stop", "halt", "wipe_disk"),
    )
    server.post_events([tool_call("s", "wipe_disk")])
    (fired,) = wait_for(server, receiver, "/prefix", 1)
    resumed = resume_ruled(server, "s", HOSTILE)
    ended = wait_for(server, receiver, "/prefix", 2)[1]
    now = datetime.now(timezone.utc)
    assert {fired.path, ended.path} == {"/prefix/api/v2/alerts"}
    assert fired.headers["authorization"] == "Bearer let-me-in"
    ((alert,), (over,)) = (fired.json, ended.json)
    incident = alert["labels"].pop("incident")
    assert over["labels"].pop("incident") == incident and incident.startswith("i_")
    labels = {"alertname": "AgentSessionHalted", "tenant": "acme", "session": "s", "rule": "test-stop", "severity": "high"}
    assert alert["labels"] == over["labels"] == labels | {"team": "agents"}
    assert set(alert["annotations"]) == {"summary", "description", "by", "halt"}
    assert alert["annotations"]["halt"] == over["annotations"]["halt"] == resumed["lifted"]["id"]
    assert parsed(alert["startsAt"]) <= now < parsed(alert["endsAt"]) - timedelta(hours=23)
    assert over["startsAt"] == alert["startsAt"] and parsed(over["startsAt"]) <= parsed(over["endsAt"]) <= now
    assert "let-me-in" not in server.log()


def test_a_harness_is_called_at_its_own_stop_api(haltline, receiver, node_modules):
    secret = new_secret()
    receiver.answers["/runs/unknown"] = [(404, {})]
    receiver.answers["/runs/busy"] = [(503, {}), (200, {})]
    server = haltline(
        endpoint(
            "harness",
            f"{receiver.url}/runs/{{session}}/stop?tenant={{tenant}}&state={{state}}&epoch={{epoch}}&id={{id}}&why={{reason}}",
            resume_url=f"{receiver.url}/runs/{{session}}/resume",
            kind="control",
            method="PUT",
            secret=secret,
            token="swordfish",
            token_header="X-Api-Key",
        )
    )
    halt = order(server, "a%2F..%2Fb%3Fc%23d", "halt", "it & that?", tenant="t%201")
    (stop,) = wait_for(server, receiver, "/runs/a%2F", 1)
    expected = f"/runs/a%2F..%2Fb%3Fc%23d/stop?tenant=t%201&state=halted&epoch=1&id={halt['id']}&why=it%20%26%20that%3F"
    assert (stop.method, stop.path, stop.headers["x-api-key"]) == ("PUT", expected, "swordfish")
    assert Webhook(secret).verify(stop.body, stop.headers)["data"] == halt
    order(server, "a%2F..%2Fb%3Fc%23d", "resume", tenant="t%201")
    resume = wait_for(server, receiver, "/runs/a%2F", 2)[1]
    assert resume.path == "/runs/a%2F..%2Fb%3Fc%23d/resume" and resume.json["type"] == "session.resumed"
    rows = [(secret, request.body.decode(), request.headers) for request in (stop, resume)]
    assert verify_in_node(node_modules, rows) == [True, True]
    order(server, "unknown", "halt")
    order(server, "busy", "halt")
    order(server, "%2E%2E", "halt")
    assert [request.method for request in wait_for(server, receiver, "/runs/busy", 2)] == ["PUT", "PUT"]

    def calls() -> dict[tuple[str, str], int]:
        text = server.get("/metrics").json
        found = re.findall(r'haltline_control_calls_total\{action="(\w+)",endpoint="harness",outcome="(\w+)"\} (\d+)', text)
        return {(action, outcome): int(count) for action, outcome, count in found if count != "0"}

    wanted = {
        ("stop", "delivered"): 2, ("resume", "delivered"): 1, ("stop", "gone"): 1, ("stop", "retried"): 1,
        ("stop", "gave_up"): 1,
    }  # fmt: skip
    server.wait_until(lambda: calls() == wanted, f"the calls {wanted}")
    assert len(receiver.at("/runs/unknown")) == 1, "a session that the harness does not know is not tried again"
    assert {request.path.split("?")[0] for request in receiver.at("/")} == {
        "/runs/a%2F..%2Fb%3Fc%23d/stop", "/runs/a%2F..%2Fb%3Fc%23d/resume", "/runs/unknown/stop", "/runs/busy/stop",
    }  # fmt: skip
    assert "swordfish" not in server.log() and "does not know the session" in server.log()


def test_a_stop_is_not_carried_out_after_the_release(haltline, receiver):
    receiver.answers["/runs/s/stop"] = [(500, {"retry-after": "3"})]
    stop, resume = f"{receiver.url}/runs/{{session}}/stop", f"{receiver.url}/runs/{{session}}/resume"
    server = haltline(endpoint("harness", stop, kind="control", resume_url=resume))
    order(server, "s", "halt")
    wait_for(server, receiver, "/runs/s/stop", 1)
    receiver.answers["/runs/s/stop"] = [(204, {})]
    order(server, "s", "resume")
    wait_for(server, receiver, "/runs/s/resume", 1)
    pending = lambda: 'haltline_webhook_pending{endpoint="harness"} 0' in server.get("/metrics").json
    server.wait_until(pending, "nothing to be under way")
    assert [request.path for request in receiver.at("/")] == ["/runs/s/stop", "/runs/s/resume"]


def test_endpoints_are_told_of_what_their_filters_want(haltline, receiver, tmp_path):
    secret = new_secret()
    filters = {
        "all": {},
        "halts": {"events": ["session.halted"]},
        "acme": {"tenants": ["ac*"]},
        "rule": {"rules": ["test-*"]},
        "people": {"rules": ["operator"]},
        "critical": {"min_severity": "critical"},
    }
    config = "".join(endpoint(name, f"{receiver.url}/{name}/", secret=secret, **more) for name, more in filters.items())
    server = haltline(config, write_rule(tmp_path / "rules", "test-stop", "halt", "wipe_disk"))
    server.post_events([tool_call("ruled", "wipe_disk")])
    wait_for(server, receiver, "/all/", 1)
    resume_ruled(server, "ruled")
    order(server, "manual", "halt", tenant="other")
    order(server, "manual", "resume", tenant="other")
    order(server, "last", "halt", tenant="acme")
    ruled, manual, last = ("ruled", "halted"), ("manual", "halted"), ("last", "halted")
    lifted, released = ("ruled", "running"), ("manual", "running")
    expected = {
        "all": {ruled, lifted, manual, released, last},
        "halts": {ruled, manual, last},
        "acme": {ruled, lifted, last},
        "rule": {ruled, lifted},
        "people": {manual, released, last},
        "critical": {manual, released, last},
    }

    def told(name: str) -> set[tuple[str, str]]:
        return {(data["session"], data["state"]) for data in (r.json["data"] for r in receiver.at(f"/{name}/"))}

    for name, wanted in expected.items():
        server.wait_until(lambda: len(told(name)) >= len(wanted), f"{name} to be told of {wanted}")
    pending = lambda: not re.findall(r"haltline_webhook_pending\{[^}]*\} [1-9]", server.get("/metrics").json)
    server.wait_until(pending, "nothing to be under way")
    assert {name: told(name) for name in filters} == expected


def test_what_was_sent_is_listed_and_can_be_tried_and_sent_again(haltline, receiver, node_modules):
    secret = new_secret()
    receiver.answers["/halts"] = [(500, {"retry-after": "600"}), (204, {})]
    server = haltline(endpoint("harness", f"{receiver.url}/halts", secret=secret))
    (row,) = server.get("/v1/webhooks").json["webhooks"]
    assert row == {
        "name": "harness", "kind": "standard", "events": ["session.halted", "session.resumed"], "pending": 0,
        "oldest_pending_s": None, "last": None, "disabled": False,
    }  # fmt: skip
    halt = order(server, "s", "halt")
    deliveries = lambda: server.get("/v1/webhooks/harness/deliveries").json["deliveries"]
    (waiting,) = server.wait_until(deliveries, "the delivery in the log")
    assert TIME.fullmatch(waiting.pop("at")) and waiting.pop("duration_ms") >= 0
    assert waiting == {
        "id": halt["id"], "type": "session.halted", "tenant": "default", "session": "s", "attempts": 1,
        "outcome": "retrying", "status": 500, "error": "answered 500",
    }  # fmt: skip
    server.wait_until(lambda: server.get("/v1/webhooks").json["webhooks"][0]["pending"] == 1, "the halt to be pending")
    tried = server.post("/v1/webhooks/harness/test", {})
    assert tried.status == 200
    assert (tried.json["delivered"], tried.json["status"], tried.json["error"]) == (True, 204, None)
    test = wait_for(server, receiver, "/halts", 2)[1]
    body = Webhook(secret).verify(test.body, test.headers)
    assert body["type"] == "endpoint.test" and body["data"] == {"id": test.headers["webhook-id"], "endpoint": "harness"}
    assert len(deliveries()) == 1, "a test is no delivery of a halt"
    again = server.post("/v1/webhooks/harness/redeliver", {"id": halt["id"]})
    assert (again.status, again.json) == (202, {"queued": True})
    redelivered = wait_for(server, receiver, "/halts", 3)[2]
    assert redelivered.headers["webhook-id"] == halt["id"] and redelivered.json["data"] == halt
    server.wait_until(lambda: deliveries()[0]["outcome"] == "delivered", "the delivery to end")
    assert [row["attempts"] for row in deliveries()] == [2], "what waits for its next try is tried at once"
    assert server.get("/v1/webhooks").json["webhooks"][0]["last"]["outcome"] == "delivered"
    rows = [(secret, request.body.decode(), request.headers) for request in (test, redelivered)]
    assert verify_in_node(node_modules, rows) == [True, True]
    # After a restart only the ledger knows of it.
    server.stop()
    server.start()
    assert deliveries() == []
    assert server.post("/v1/webhooks/harness/redeliver", {"id": halt["id"]}).status == 202
    assert wait_for(server, receiver, "/halts", 4)[3].headers["webhook-id"] == halt["id"]
    for path, sent in [("none/test", {}), ("none/redeliver", {"id": halt["id"]}), ("harness/redeliver", {"id": "h_none"})]:
        assert server.post(f"/v1/webhooks/{path}", sent).status == 404
    assert server.get("/v1/webhooks/none/deliveries").status == 404
