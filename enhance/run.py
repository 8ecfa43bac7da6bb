"""The run: builds the stages, chains them, counts what comes out."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from enhance.cache import FOLDER, Cache
from enhance.config import Config
from enhance.console import say, start_logging
from enhance.disk import Lock, Writer
from enhance.flow import through
from enhance.journal import Journal
from enhance.plan import plan
from enhance.ranks import Ranks
from enhance.report import Report, news, summarise, worked
from stages.chat.model import ChatModel
from stages.chat.server import Server
from stages.clean import Clean
from stages.dataset import Layout, find
from stages.generate import Generate
from stages.llm import Chat
from stages.load import load, read
from stages.merge import Merge
from stages.policy import policy_of
from stages.sample import Fatal, Sample, Stage
from stages.text.encoding import decode

log = logging.getLogger(__name__)


def run(config: Config, ranks: Ranks) -> int:
    """Captions the dataset; the exit status. Raises Fatal if the run cannot go on."""
    start_logging(config.report, ranks)
    if len(config.policy.anchor.splitlines()) > 1:
        raise Fatal("--anchor: one line, please; it stands within captions of one line", 2)
    layout = Layout.of(config.load)
    media, notices = find(config.load, layout)
    log.debug("%s: %d pictures", layout.root, len(media))
    for notice in notices:
        log.info(notice)
    folder = layout.root / FOLDER
    if config.run.dry_run or config.run.explain:
        if ranks.main:
            cache, stages = build(config, ranks, layout, Journal(folder, ranks.rank, True))
            plan(stages, load(media, layout, cache.owners), cache, layout, config.run.explain)
        return 0
    _end_with_launcher(ranks)
    signal.signal(signal.SIGTERM, _interrupt)
    with Lock(folder, ranks.launch, ranks.rank) as lock:
        journal = Journal(folder, ranks.rank, run=ranks.launch)
        writer = Writer(ranks.launch, ranks.rank)
        if lock.found_dead:
            writer.sweep(list({layout.root, layout.sidecars, layout.finals, folder}))
        cache, stages = build(config, ranks, layout, journal, writer)
        _notices(config, stages)
        outputs = [stage.output for stage in stages]
        report = Report(layout, ranks, len(media), outputs, lambda _: config.policy)
        stopped: Fatal | KeyboardInterrupt | None = None
        try:
            samples: Iterable[Sample] = load(ranks.share(media), layout, cache.owners)
            for sample in chain(stages, samples, cache, report, _overlap(config)):
                report.count(sample)
        except (Fatal, KeyboardInterrupt) as reason:
            stopped = reason
        finally:
            report.close()
            for stage in stages:
                stage.close()
            journal.close()
        spent = {stage.output: stage.spent for stage in stages}
        told = report.finish(spent, _settings(config), complete=stopped is None)
        if told is not None and (worked(told) or not isinstance(stopped, Fatal)):
            path = folder / "report.json"
            if news(told, read(path)):
                text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
                writer.write(path, text.encode("utf-8", "backslashreplace"))
            summarise(told, path)
            if isinstance(stopped, KeyboardInterrupt):
                say("Stopped before the end; the same command goes on from here.")
        if isinstance(stopped, Fatal):
            raise stopped
        if stopped is not None:
            return 130
        needy = told is not None and (told["failed"] or told["needs_a_person"])
        return 3 if needy and config.run.strict else 0


def build(
    config: Config,
    ranks: Ranks,
    layout: Layout,
    journal: Journal,
    writer: Writer | None = None,
) -> tuple[Cache, list[Stage]]:
    """The cache and the stages that this run needs, in their order. Loads and asks nothing."""
    clean = Clean(config.policy)
    cache = Cache(
        layout,
        journal,
        writer or Writer(ranks.launch, ranks.rank),
        clean,
        config.cache.overwrite,
    )
    stages: list[Stage] = []
    if config.generate.generate:
        stages.append(Generate(config.generate, ranks.device, cache.content))
    elif config.run.until == "generated":
        raise Fatal("--no_generate and --until generated leave nothing to do", 2)
    if config.run.until != "generated":
        chat = _chat(config, ranks)
        options = config.policy
        instructions = _text("--system_prompt", options.system_prompt)
        policy = policy_of(options).with_rules(_text("--rules", options.rules))
        if instructions:
            instructions = "\n- ".join((instructions, *policy.rules))
        stages.append(Merge(chat, config.merge, policy, options, instructions))
    if config.run.until == "final":
        stages.append(clean)
    return cache, stages


def chain(
    stages: list[Stage],
    samples: Iterable[Sample],
    cache: Cache,
    report: Report,
    overlap: bool,
) -> Iterable[Sample]:
    """The samples through all stages: together, or one stage after the other."""
    unprepared = list(stages)

    def prepare(first: Stage) -> Callable[[], None]:
        def once() -> None:
            # What is missing downstream should show before hours of drafting. Last room first:
            # a server answers sooner than a captioner is found.
            for stage in reversed(stages[stages.index(first) :]):
                if stage in unprepared:
                    unprepared.remove(stage)
                    stage.prepare()

        return once

    for stage in stages:
        samples = through(stage, samples, cache, report, prepare(stage))
        if not overlap:
            samples = list(samples)
            stage.close()
    return samples


def _chat(config: Config, ranks: Ranks) -> Chat:
    """A server if one is configured, else a model in this process."""
    if serves(config):
        return Server(config.merge, config.key.reveal(), ranks.world)
    return ChatModel(config.merge, config.generate.dtype, ranks.device)


def serves(config: Config) -> bool:
    """True if a server merges. A folder as --model can only be meant for this process."""
    if config.merge.base_url:
        return True
    return bool(config.key) and not Path(config.merge.model or "?").expanduser().is_dir()


def _overlap(config: Config) -> bool:
    """Two models in one process take turns: the captioner is unloaded before the other loads."""
    return config.run.overlap and (serves(config) or config.run.until == "generated")


def _text(flag: str, file: str) -> str:
    """What stands in a text file that a setting names; "" if it names none."""
    if not file:
        return ""
    try:
        data = read(Path(file).expanduser())
    except OSError as error:
        raise Fatal(f"{flag} {file}: {error.strerror}", 2) from None
    if data is None:
        raise Fatal(f"{flag} {file}: there is no such file", 2)
    text = decode(data)[0].strip()
    if not text:
        raise Fatal(f"{flag} {file}: the file is empty", 2)
    return text


def _notices(config: Config, stages: list[Stage]) -> None:
    for stage in stages:
        if isinstance(stage, Generate) and stage.notice:
            log.info(stage.notice)
    anchor = config.policy.anchor
    if config.run.until != "generated":
        if not anchor:
            log.info("no --anchor: captions are merged and cleaned without one")
        policy = policy_of(config.policy)
        if anchor.lower() in policy.generic:
            log.warning("--anchor %s is a common word: the model knows it as everything", anchor)


def _settings(config: Config) -> dict[str, dict[str, object]]:
    return {
        name: {"value": value, "from": config.origins[name]}
        for name, value in config.values().items()
    }


def _interrupt(*_: int | FrameType | None) -> None:
    # Once is enough: a launcher's death is told by each of its threads, and must not cut the drain.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_launcher(ranks: Ranks) -> None:
    """Asks Linux to end this rank with its launcher: orphans would go on beside the next run."""
    if ranks.world > 1 and sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() == 1:
            raise KeyboardInterrupt
