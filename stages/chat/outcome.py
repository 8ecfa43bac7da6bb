"""What became of one request of a batch, as a line in the files of answers and errors tells it."""

from __future__ import annotations

import json

from stages.chat.dialect import ErrorInside, read_reply
from stages.chat.host import Host
from stages.chat.wire import Answer, Unreadable
from stages.llm import Reply


def outcome(line: bytes, host: Host) -> tuple[str, Reply | RuntimeError]:
    """The name of the request, and the reply or why there is none."""

    def failed(why: object) -> RuntimeError:
        return RuntimeError(f"{host.address}: {host.masked(why)}")

    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return "", failed("a line that is none")
    name, response, error = (told.get(part) for part in ("custom_id", "response", "error"))
    if not isinstance(response, dict):
        error = error if isinstance(error, dict) else {"message": error or "no answer"}
        said = (str(error[part]) for part in ("code", "message") if error.get(part))
        return str(name), failed(": ".join(said))
    status, body = response.get("status_code"), json.dumps(response.get("body")).encode()
    answer = Answer(status if isinstance(status, int) else 500, {}, body)
    if answer.status != 200:
        return str(name), failed(host.trouble(answer))
    try:
        return str(name), read_reply(answer)
    except (ErrorInside, Unreadable) as error:
        return str(name), failed(error)
