"""A chat server of known speed in a process of its own: a latency, a capacity, a rate limit.

    python benchmarks/paced.py --port 8090 --latency 0.05 --capacity 32 --rpm 600 --burst 10

It answers a merge with the texts it was given. `GET /count` tells what it did.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time

FENCED = re.compile(r"^<(person|draft|anchor)>\n(.*?)\n</\1>$", re.DOTALL | re.MULTILINE)


class Server:
    """Counts what it answers; requests beyond the rate are refused, beyond the capacity queued."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        self.latency, self.rate, self.burst = wanted.latency, wanted.rpm / 60, wanted.burst
        self.tells = wanted.tells
        self.held, self.at = float(wanted.burst), time.monotonic()
        self.slots = asyncio.Semaphore(wanted.capacity)
        self.counts = {"answered": 0, "refused": 0}

    def headers(self) -> tuple[bool, bytes]:
        """Whether a request may pass now, and what is told of it, as OpenAI does."""
        if not self.rate:
            return True, b""
        now = time.monotonic()
        self.held = min(self.burst, self.held + self.rate * (now - self.at))
        self.at = now
        passes = self.held >= 1
        self.held -= passes
        if not self.tells:
            return passes, b""
        reset = (self.burst - self.held) / self.rate
        return passes, (
            f"x-ratelimit-limit-requests: {self.burst}\r\n"
            f"x-ratelimit-remaining-requests: {int(self.held)}\r\n"
            f"x-ratelimit-reset-requests: {reset:.3f}s\r\n"
        ).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                writer.write(await self.answer(head, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def answer(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /count"):
            return _http(b"200 OK", b"", json.dumps(self.counts).encode())
        if head.startswith(b"GET"):
            return _http(b"200 OK", b"", b'{"data": [{"id": "paced"}]}')
        passes, told = self.headers()
        if not passes:
            self.counts["refused"] += 1
            return _http(b"429 Too Many", told, b'{"error": {"message": "slow down"}}')
        async with self.slots:
            await asyncio.sleep(self.latency)
        self.counts["answered"] += 1
        texts = dict(FENCED.findall(json.loads(body)["messages"][-1]["content"]))
        parts = (texts.get("person", ""), f"in {texts.get('anchor', '')}", texts.get("draft", ""))
        message = {"role": "assistant", "content": ", ".join(part for part in parts if part)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": len(body) // 4, "completion_tokens": 20}
        return _http(b"200 OK", told, json.dumps({"choices": [choice], "usage": usage}).encode())


def _http(status: bytes, headers: bytes, body: bytes) -> bytes:
    length = str(len(body)).encode()
    kind = b"content-type: application/json\r\ncontent-length: "
    return b"HTTP/1.1 " + status + b"\r\n" + headers + kind + length + b"\r\n\r\n" + body


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    parser.add_argument("--capacity", type=int, default=32, help="answers at once")
    parser.add_argument("--rpm", type=float, default=0.0, help="requests a minute")
    parser.add_argument("--burst", type=int, default=10, help="of them at once")
    parser.add_argument("--tells", action="store_true", help="in x-ratelimit headers")
    wanted = parser.parse_args()
    server = await asyncio.start_server(Server(wanted).serve, "127.0.0.1", wanted.port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
