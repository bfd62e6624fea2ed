"""The API against its own description: requests made from it by schemathesis, answers checked against it."""

import subprocess
import sys
from pathlib import Path

from conftest import new_token

# A stream has no end, and loading the rules takes longer than the answer to a guess should.
LEFT_OUT = r"/stream$|/v1/rules/reload"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_answers_are_what_the_description_says(haltline, tmp_path: Path):
    token, tokens = new_token("fuzz", ["admin"])
    server = haltline(tokens)
    server.post_events([{"v": 1, "session": "s", "kind": "message", "text": "hello"}], token=token)
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", f"{server.url}/openapi.json",
        "--header", f"Authorization: Bearer {token}", "--exclude-path-regex", LEFT_OUT,
        "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", "7",
        "--request-timeout", "40", "--no-color",
    ]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert ran.returncode == 0, f"{ran.stdout[-12_000:]}\n{ran.stderr[-2_000:]}"
    assert server.get("/healthz").status == 200


def test_the_description_and_its_page_need_nobody_else(haltline):
    server = haltline()
    description = server.get("/openapi.json").json
    assert description["openapi"] == "3.1.0" and "/v1/gate" in description["paths"]
    page = server.get("/docs")
    assert page.status == 200 and "http://" not in page.json and "https://" not in page.json
