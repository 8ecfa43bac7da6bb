"""`enhance serve`: the captioner over HTTP, for AI-Toolkit's page and for clients of OpenAI."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import dotenv

from enhance import config, console
from enhance.console import say, start_logging
from enhance.flags import Parser, spell
from enhance.ranks import Ranks
from stages import dataset
from stages.checkpoint import Checkpoint
from stages.drafter import Options
from stages.sample import Fatal

log = logging.getLogger(__name__)

TOKEN = "CAPTION_TOKEN"
MODEL = "fancyfeast/llama-joycaption-beta-one-hf-llava"
_DRAIN = 20  # seconds that requests under way have when it is stopped
_STOPS = b"stopping: what is under way has 20 seconds (Ctrl-C again: none)\n"
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
    _of_every_folder(config.read([*flags, "--dataset_dir=."]).load)
    if Checkpoint(os.path.expanduser(wanted.model)).gone:
        raise Fatal(f"--model {wanted.model}: there is no such folder")
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
    anywhere = wanted.host in ("0.0.0.0", "::")
    rules = Rules(
        [*wanted.allow_host, *(() if anywhere else (wanted.host,))],
        token,
        wanted.allow_remote,
        wanted.allow_shutdown,
        flags=flags,
        by_number=anywhere,
    )
    jobs = Jobs(
        lambda options, stop: Lent(options, engine, stop) if engine.lends(options) else None
    )
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
            engine.stop()
            if self.should_exit and sig == signal.SIGINT:
                os._exit(130)  # somebody will not wait; what is written is whole at any instant
            if not self.should_exit:
                end = threading.Timer(_LAST, _end)
                end.daemon = True
                end.start()
                os.write(sys.stdout.fileno(), _STOPS)  # a signal may come amid a print
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
    host, port = known.get("CAPTION_HOST") or "127.0.0.1", known.get("CAPTION_PORT") or 5000
    add("--host", default=host, help="the address it listens at (default: %(default)s)")
    add("--port", type=_port, default=port, help="its port (default: %(default)s)")
    add("--allow_host", action="append", default=[], metavar="NAME", help="be asked by this name")
    add("--model", "--model_id", default=known.get("CAPTION_MODEL") or MODEL, metavar="ID|DIR")
    add("--captioner", default="auto", help="how the model is asked (enhance captioners)")
    add("--revision", default="main")
    add("--trust_remote_code", action="store_true")
    add("--dtype", default="auto", choices=("auto", "bfloat16", "float16", "float32"))
    add("--quantize", default="none", choices=("none", "8bit", "4bit"))
    add("--config", metavar="FILE", help="YAML file of settings for POST /enhance")
    add("--base_url", metavar="URL", help="the language model's server that merges in its jobs")
    add(
        "--llm",
        metavar="NAME|DIR",
        help="its model (default: the only one it lists); without a server one in this process",
    )
    add("--preload", action="store_true", help="load the model at once, not at the first request")
    add(
        "--max_batch",
        type=_natural,
        default=0,
        metavar="N",
        help="pictures at once (0: 16 on a GPU)",
    )
    add("--max_wait_ms", type=_natural, default=20, metavar="MS", help="gather a batch for so long")
    add("--max_queue", type=_positive, default=512, metavar="N", help="requests that may wait")
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


def _of_every_folder(load: dataset.Options) -> None:
    """Raises Fatal for what cannot hold for jobs in several folders: the captions of one would be
    taken for those of another that has pictures of the same names."""
    for name in ("sidecar_dir", "output_dir", "files"):
        if getattr(load, name):
            raise Fatal(f"--{name} cannot hold for all jobs of a service: leave it out", 2)


def _end() -> None:
    log.warning("a batch takes too long to wait for; what a job lost of it, the next one makes")
    os._exit(0)


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
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
