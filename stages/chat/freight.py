"""HTTP for what should not be held in memory: files that go to a server and come back from it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import IO

from stages.chat.wire import Answer, Wire
from stages.sample import Fatal

# The slowest line that is worth waiting for, and the largest file that a batch may have.
_BYTES_A_SECOND, _LARGEST_FILE = 50_000, 200_000_000
_LEAST = 120.0  # seconds of any transfer
_PIECE = 1 << 18


class Freight(Wire):
    """Files to and from one server. Any thread may ask; all raise as `Wire.post` does."""

    def delete(self, path: str, seconds: float) -> Answer:
        return self._ask("DELETE", path, None, seconds)

    def upload(self, path: str, fields: Mapping[str, str], file: IO[bytes], name: str) -> Answer:
        """Posts a form with a file, which is read as it is sent."""
        seconds = _LEAST + file.seek(0, os.SEEK_END) / _BYTES_A_SECOND
        return self._run(self._form(path, fields, file, name, seconds), seconds)

    def download(self, path: str, into: IO[bytes]) -> Answer:
        """Writes what is there into a file; what is no success comes back as it was said. Raises
        Fatal where the disk is full."""
        seconds = _LEAST + _LARGEST_FILE / _BYTES_A_SECOND
        return self._run(self._fetch(path, into, seconds), seconds)

    async def _form(
        self, path: str, fields: Mapping[str, str], file: IO[bytes], name: str, seconds: float
    ) -> Answer:
        import aiohttp

        form = aiohttp.FormData()
        for field, value in fields.items():
            form.add_field(field, value)
        file.seek(0)
        # A handle of its own: whoever sends it closes it, and it may have to be sent again.
        with open(os.dup(file.fileno()), "rb") as copy:
            form.add_field("file", copy, filename=name, content_type="application/jsonl")
            parts = form()
            kind = {"content-type": parts.headers["Content-Type"]}
            async with self._request("POST", path, parts, seconds, headers=kind) as response:
                return await self._whole(response)

    async def _fetch(self, path: str, into: IO[bytes], seconds: float) -> Answer:
        # What is large may lie elsewhere. The key is not sent there.
        async with self._request("GET", path, None, seconds, allow_redirects=True) as response:
            if response.status != 200:
                return await self._whole(response)
            async for piece in response.content.iter_chunked(_PIECE):
                write(into, piece)
            return Answer(response.status)


def write(file: IO[bytes], data: bytes) -> None:
    """Into a temporary file. Raises Fatal where there is no room."""
    try:
        file.write(data)
        file.flush()
    except OSError as error:
        where = tempfile.gettempdir()
        raise Fatal(f"cannot write into {where}: {error.strerror} (TMPDIR names another)") from None
