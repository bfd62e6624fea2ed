"""A model's HTTP API on loopback that says what a script tells it to: enough for the real Claude Code program to run.

The n-th request that offers tools gets the n-th entry of the script: `{"name": …, "input": …}` is a tool call, text is
an answer that ends the turn. Requests without tools (titles, summaries) get a short text. `results()` tells what came back
from tools.
"""

import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeAnthropic:
    def __init__(self, script: list[dict | str]):
        self.requests: list[dict] = []
        self._script = iter(script)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
                if "count_tokens" in self.path:
                    return self.send(200, "application/json", json.dumps({"input_tokens": 1}))
                if "/messages" not in self.path:
                    return self.send(404, "application/json", "{}")
                message = fake.reply(body)
                if not body.get("stream"):
                    return self.send(200, "application/json", json.dumps(message))
                self.send(200, "text/event-stream", stream(message))

            def do_GET(self) -> None:
                self.send(404, "application/json", "{}")

            do_HEAD = do_GET

            def send(self, status: int, kind: str, text: str) -> None:
                data = text.encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeAnthropic":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, body: dict) -> dict:
        with self._lock:
            number = next(self._ids)
            self.requests.append(body)
            said = next(self._script, "nothing more to say") if body.get("tools") else "ok"
        block = {"type": "text", "text": said}
        if isinstance(said, dict):
            block = {"type": "tool_use", "id": f"toolu_{number:04}", "name": said["name"], "input": said["input"]}
        return {
            "id": f"msg_{number:04}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", "fake"),
            "content": [block],
            "stop_reason": "tool_use" if block["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }

    def results(self) -> list[dict]:
        """The tool results of the longest conversation."""
        longest = max((request["messages"] for request in self.requests), key=len, default=[])
        blocks = [block for message in longest if isinstance(message["content"], list) for block in message["content"]]
        return [block for block in blocks if block.get("type") == "tool_result"]


def stream(message: dict) -> str:
    """A message as server-sent events."""
    block = message["content"][0]
    start: dict[str, Any] = {"type": "text", "text": ""}
    delta: dict[str, Any] = {"type": "text_delta", "text": block.get("text")}
    if block["type"] == "tool_use":
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    events: list[dict] = [
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
