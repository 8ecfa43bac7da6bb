"""`enhance serve`: the captioner over HTTP, for AI-Toolkit's page and for clients of OpenAI."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import dotenv

from enhance import config, console
from enhance.console import say, start_logging
from enhance.flags import Parser, spell
from enhance.ranks import Ranks
from stages.drafter import Options
from stages.sample import Fatal

log = logging.getLogger(__name__)

TOKEN = "CAPTION_TOKEN"
MODEL = "fancyfeast/llama-joycaption-beta-one-hf-llava"
_DRAIN = 20  # seconds that requests under way have when it is stopped
_LAST = 24.0  # and a batch that takes longer still; what is killed in a job is made again


def main(argv: Sequence[str]) -> int:
    """0 once it is stopped. Raises Fatal for what it cannot start with."""
    known = {**dotenv.dotenv_values(".env"), **os.environ}
    wanted = _parser(known).parse_args(argv)
    token = str(known.get(TOKEN) or "").strip()
    ranks = Ranks()
    start_logging(console.Options(wanted.log_level), ranks)
    try:
        import uvicorn

        from enhance.service.app import Rules, service
        from enhance.service.engine import Engine
        from enhance.service.guard import is_loopback
        from enhance.service.jobs import Jobs
        from enhance.service.lent import Lent
        from enhance.service.roots import Roots
    except ImportError as error:
        raise Fatal(
            f'enhance serve needs an extra ({error}): pip install "enhance-captions[serve]"'
        ) from None
    if not is_loopback(wanted.host) and not token:
        raise Fatal(
            f"--host {wanted.host} can be reached from elsewhere: set a token as {TOKEN} in the "
            "environment or in .env, which clients send as Authorization: Bearer …",
            2,
        )
    roots = Roots(wanted.allow_root)
    own = {name: getattr(wanted, name) for name in ("captioner", "revision", "dtype", "quantize")}
    options = Options(model_id=wanted.model, trust_remote_code=wanted.trust_remote_code, **own)
    if options.hosted:
        raise Fatal(f"--captioner {wanted.captioner} runs elsewhere already", 2)
    flags = _of_jobs(wanted, options)
    config.read([*flags, "--dataset_dir=."])  # what is wrong with them is told now
    bound = _bound(wanted.host, wanted.port)
    device = ranks.device()
    engine = Engine(
        options,
        device,
        cores=ranks.cores,
        max_batch=wanted.max_batch,
        max_wait=wanted.max_wait_ms / 1000,
        max_queue=wanted.max_queue,
    )
    hosts = [*wanted.allow_host] + ([wanted.host] if wanted.host not in ("0.0.0.0", "::") else [])
    rules = Rules(hosts, token, wanted.allow_remote, wanted.allow_shutdown, flags=flags)
    jobs = Jobs(lambda options: Lent(options, engine) if engine.lends(options) else None)
    app: Any = service(engine, jobs, roots, rules, int(device.startswith("cuda")))
    host, port = bound.getsockname()[:2]
    where = f"[{host}]" if ":" in host else host
    say(f"serving {engine.source} at http://{where}:{port} (Ctrl-C stops it)")
    if wanted.preload:
        engine.begin()

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            """Jobs hear of it now, not once all requests are answered."""
            jobs.stop()
            if not self.should_exit:
                end = threading.Timer(_LAST, _end)
                end.daemon = True
                end.start()
            super().handle_exit(sig, frame)

    server = Server(
        uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN,
            lifespan="on",
            ws="none",
        )
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until uvicorn has its own
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[bound])
    return 0


def _parser(known: Mapping[str, str | None]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="enhance serve",
        description=__doc__,
        epilog=f"CAPTION_HOST, CAPTION_PORT and CAPTION_MODEL are read too; {TOKEN} is the token.",
    )
    add = parser.add_argument
    add("--allow_root", action="append", default=[], metavar="DIR", help="open images below it")
    add("--host", default=known.get("CAPTION_HOST") or "127.0.0.1")
    add("--port", type=int, default=known.get("CAPTION_PORT") or 5000)
    add("--allow_host", action="append", default=[], metavar="NAME", help="be asked by this name")
    add("--model", "--model_id", default=known.get("CAPTION_MODEL") or MODEL, metavar="ID|DIR")
    add("--captioner", default="auto", help="how the model is asked (enhance captioners)")
    add("--revision", default="main")
    add("--trust_remote_code", action="store_true")
    add("--dtype", default="auto", choices=("auto", "bfloat16", "float16", "float32"))
    add("--quantize", default="none", choices=("none", "8bit", "4bit"))
    add("--config", metavar="FILE", help="YAML file of settings for POST /enhance")
    add("--base_url", metavar="URL", help="the language model's server that merges in its jobs")
    add("--llm", metavar="NAME", help="its model (default: the only one it lists)")
    add("--preload", action="store_true", help="load the model at once, not at the first request")
    add(
        "--max_batch",
        type=_natural,
        default=0,
        metavar="N",
        help="pictures at once (0: 16 on a GPU)",
    )
    add("--max_wait_ms", type=_natural, default=20, metavar="MS", help="gather a batch for so long")
    add("--max_queue", type=_natural, default=512, metavar="N", help="requests that may wait")
    add("--allow_remote", action="store_true", help="fetch pictures from addresses in requests")
    add("--allow_shutdown", action="store_true", help="POST /shutdown stops the service")
    add("--log_level", default="info", choices=("debug", "info", "warning", "error"))
    return parser


def _of_jobs(wanted: argparse.Namespace, options: Options) -> list[str]:
    """What holds for every job, as flags of a run: its captioner is the service's."""
    own = ("model_id", "revision", "captioner", "dtype", "quantize", "trust_remote_code")
    flags = [flag for name in own for flag in spell(name, getattr(options, name))]
    merging = {"config": wanted.config, "base_url": wanted.base_url, "model": wanted.llm}
    return [*flags, *(f"--{name}={value}" for name, value in merging.items() if value)]


def _end() -> None:
    log.warning("a batch takes too long to wait for; what a job lost of it, the next one makes")
    os._exit(0)


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _bound(host: str, port: int) -> socket.socket:
    """Raises Fatal if the address is taken or is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sends at once (TCP_NODELAY): an answer is written in two
    # parts, and the second would wait 40 ms over a connection that stays open.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(2048)  # who comes before it serves waits
    except (OSError, OverflowError) as error:
        raise Fatal(
            f"cannot listen at {host}:{port} ({error}): is another server there, of a language "
            "model perhaps? Take another --port"
        ) from None
    return bound
