"""Whether a service sees: it is shown a drawn picture before the first file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from stages.chat.client import Client
from stages.llm import Reply
from stages.sight import Sight, uncounted


def looked(
    sight: Sight, trial: Callable[[bool], Reply | None], client: Client[Any, Any]
) -> Mapping[str, Any]:
    """What that cost. `trial` asks the question, with the picture or without; None tells nothing.
    Raises Fatal if it is sure that the model sees none."""
    spent = Counter[str]()
    reply = trial(True)
    if reply is None:
        return spent
    spent.update(client.options.spent(reply))
    if sight.seen(reply.text):
        return spent
    alone = trial(False)
    if alone is not None:
        spent.update(client.options.spent(alone))
    said = " ".join(reply.text.split())[:80]
    answered = f"of a picture that is all {sight.colour} {client.origin} says {said!r}"
    host = client.host
    if alone is not None and uncounted(reply.prompt_tokens, alone.prompt_tokens):
        counted = "and the picture adds nothing to the tokens that were counted"
        if said:
            raise host.fatal(
                f"{answered}, {counted}: pictures do not reach this model; name one that sees "
                f"with {host.role.model}"
            )
        host.tell("blind", f"{answered}, {counted}: does it see? Look at the first drafts")
    elif said:
        host.tell("blind", f"{answered}: does it see? Look at the first drafts")
    return spent
