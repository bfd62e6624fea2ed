"""Streams of what happens: a thousand readers at once, and one that does not read."""

import asyncio
import json
import resource
from urllib.parse import urlsplit

READERS = 1_000


async def follow(address: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /v1/halts/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
    await reader.readuntil(b"event: hello")
    return reader, writer


def test_a_thousand_readers_are_told_and_one_that_sleeps_holds_up_nobody(haltline):
    wanted = READERS + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))
    server = haltline()
    parts = urlsplit(server.url)

    async def run() -> list[bytes]:
        address = (parts.hostname, parts.port)
        readers = []
        for start in range(0, READERS, 100):
            readers += await asyncio.gather(*(follow(address) for _ in range(start, start + 100)))
        asleep, _ = await follow(address)
        order = await asyncio.to_thread(server.post, "/v1/sessions/s/halt", {"by": "ana", "reason": "enough"})
        assert order.status == 200
        told = await asyncio.wait_for(asyncio.gather(*(reader.readuntil(b"\n\n") for reader, _ in readers)), 60)
        again = await asyncio.wait_for(asyncio.gather(*(reader.readuntil(b'"session":"s"') for reader, _ in readers)), 60)
        gate = await asyncio.to_thread(server.post, "/v1/gate", {"session": "s"})
        assert gate.json["decision"] == "deny", gate
        for _, writer in readers:
            writer.close()
        del asleep, told
        return again

    assert len(asyncio.run(run())) == READERS
    assert json.dumps(server.get("/v1/halts").json).count('"halted"') == 1
