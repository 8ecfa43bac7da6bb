"""The first room: finds the media and pairs each with what a person wrote."""

from __future__ import annotations

import codecs
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stages.media import IMAGES
from stages.sample import Caption, Failure, Fatal, Problem, Sample

SUFFIXES = {"manual": "_manual", "generated": "_generated", "combined": "_combined"}


@dataclass(frozen=True, slots=True)
class Options:
    """What is captioned."""

    dataset_dir: str = field(
        default="", metadata={"help": "folder of images and their captions", "metavar": "DIR"}
    )
    recursive: bool = field(default=True, metadata={"help": "do not look into subfolders"})
    caption_extension: str = field(
        default=".txt", metadata={"help": "extension of the caption files trainers read"}
    )
    sidecar_dir: str = field(
        default="",
        metadata={
            "help": "keep _manual, _generated and _combined texts in this folder, in the same tree",
            "metavar": "DIR",
        },
    )
    output_dir: str = field(
        default="",
        metadata={
            "help": "publish the captions into this folder, in the same tree, and leave {name}.txt",
            "metavar": "DIR",
        },
    )
    limit: int = field(
        default=0,
        metadata={"help": "only the first N files of the sorted list (0: all)", "metavar": "N"},
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each text of a media file lies."""

    root: Path
    sidecars: Path
    finals: Path
    extension: str

    @classmethod
    def of(cls, options: Options) -> Layout:
        """Raises Fatal if the dataset folder is missing or no folder."""
        if not options.dataset_dir:
            raise Fatal("say which folder to caption: --dataset_dir DIR", 2)
        root = _absolute(options.dataset_dir)
        if not root.exists():
            raise Fatal(f"--dataset_dir {root}: there is no such folder", 2)
        if not root.is_dir():
            raise Fatal(f"--dataset_dir {root}: this is a file; give the folder it lies in", 2)
        extension = options.caption_extension
        extension = extension if extension.startswith(".") else f".{extension}"
        if len(extension) < 2 or "/" in extension or extension.lower() in IMAGES:
            raise Fatal(f"--caption_extension {options.caption_extension!r} cannot be used", 2)
        return cls(
            root=root,
            sidecars=_elsewhere(options.sidecar_dir, root),
            finals=_elsewhere(options.output_dir, root),
            extension=extension,
        )

    def path(self, media: Path, text: str) -> Path:
        """The file of one text: "manual", "generated", "combined" or "final"."""
        if text == "final":
            return self._beside(media, self.finals, self.extension)
        return self._beside(media, self.sidecars, f"{SUFFIXES[text]}.txt")

    def kept(self, media: Path) -> tuple[Path, ...]:
        """Where an earlier run may have kept the manual caption; beside the media too, so that a
        run with a new --sidecar_dir finds it."""
        here = self.path(media, "manual")
        beside = self._beside(media, self.root, f"{SUFFIXES['manual']}.txt")
        return (here,) if here == beside else (here, beside)

    def original(self, media: Path) -> Path:
        """`{name}.txt` beside the media: where people write their captions."""
        return self._beside(media, self.root, self.extension)

    def name(self, path: Path) -> str:
        """A path as people and the journal know it: relative to the dataset, with slashes."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return path.as_posix()

    def _beside(self, media: Path, folder: Path, ending: str) -> Path:
        place = media if folder is self.root else folder / media.relative_to(self.root)
        # Not with_suffix or with_name: they cost a parse each, and 200,000 files have five texts.
        return Path(f"{os.fspath(place)[: -len(media.suffix)]}{ending}")


def _absolute(folder: str) -> Path:
    """The journal names texts outside the dataset by it, from whatever folder a run starts."""
    return Path(os.path.abspath(Path(folder).expanduser()))


def _elsewhere(folder: str, root: Path) -> Path:
    """`folder`, or `root` itself if that is what it is, by whatever name: texts there are not
    elsewhere, and a person's caption among them must be kept."""
    if not folder:
        return root
    path = _absolute(folder)
    return root if path.exists() and path.samefile(root) else path


def find(options: Options, layout: Layout) -> list[Path]:
    """All media below the dataset folder, sorted by their path; `limit` cuts the list.

    Raises Fatal if there is none, or if two of them would share caption files.
    """
    media, skipped = _scan(layout.root, options.recursive)
    if not media:
        seen = ", ".join(f"{count} {kind}" for kind, count in skipped.most_common(5))
        raise Fatal(
            f"no images in {layout.root} (looked for {' '.join(sorted(IMAGES))}; "
            f"found {seen or 'nothing at all'})",
            2,
        )
    media.sort()
    _refuse_shared_names(media, layout)
    return media[: options.limit] if options.limit > 0 else media


def _scan(root: Path, recursive: bool) -> tuple[list[Path], Counter[str]]:
    """Media paths, and what else was there by kind. A stat per folder and link, none per file."""
    media: list[Path] = []
    skipped: Counter[str] = Counter()
    folders = [os.fspath(root)]
    seen: set[tuple[int, int]] = set()
    while folders:
        folder = folders.pop()
        try:
            # Not the entry's own stat(): on Windows that knows no inode.
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue  # links may form a circle
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(folder))
        except OSError as error:
            if folder == os.fspath(root):
                raise Fatal(f"cannot look into {root}: {error.strerror}", 2) from None
            skipped[f"folders without access ({os.path.basename(folder)})"] += 1
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue  # hidden folders, and the ._ files macOS leaves on foreign disks
            link = entry.is_symlink()
            # os.path.isdir, unlike the entry, bears a link to itself.
            if os.path.isdir(entry.path) if link else entry.is_dir():
                if not recursive:
                    skipped["subfolders"] += 1
                    continue
                # Links last: a folder goes by its own name if it has one here.
                folders.insert(0 if link else len(folders), entry.path)
                continue
            extension = os.path.splitext(entry.name)[1].lower()
            if extension in IMAGES:
                media.append(Path(entry.path))
            elif extension != ".txt":
                skipped[f"{extension or 'extensionless'} files"] += 1
    return media, skipped


def _refuse_shared_names(media: list[Path], layout: Layout) -> None:
    """Two media that would share a caption file: the one would get the other's caption."""
    owners: dict[str, Path] = {}
    for path in media:
        stem = _folded(layout.name(path)[: -len(path.suffix)])
        other = owners.setdefault(stem, path)
        if other is not path:
            raise Fatal(
                f"{layout.name(other)} and {layout.name(path)} would share one caption file: "
                "rename one of them",
                2,
            )
    for stem, path in owners.items():
        for suffix in SUFFIXES.values():
            if stem.endswith(suffix):
                owner = owners.get(stem.removesuffix(suffix))
                of = f" of {layout.name(owner)}" if owner else ""
                raise Fatal(
                    f"{layout.name(path)}: its caption would have the name of a {suffix}.txt "
                    f"sidecar{of}; rename the image",
                    2,
                )


def _folded(name: str) -> str:
    """Names that differ only by case or Unicode form are one name on Windows and macOS."""
    return unicodedata.normalize("NFC", name).casefold()


IsFinal = Callable[[Path, Path, bytes], bool]


def load(media: Iterable[Path], layout: Layout, is_final: IsFinal) -> Iterator[Sample]:
    """Each media file with the caption a person wrote for it, if any.

    `{name}_manual.txt`, which earlier runs kept, wins over `{name}.txt`; `is_final(media, path,
    data)` says whether the latter is a published caption rather than an input.
    """
    for path in media:
        try:
            yield Sample(media=path, manual=_manual(path, layout, is_final))
        except OSError as error:
            # Without its caption the file is left alone: a draft must not pass for the whole.
            reason = f"cannot read {error.filename}: {error.strerror}"
            yield Sample(media=path, failure=Failure("manual", reason))


def _manual(media: Path, layout: Layout, is_final: IsFinal) -> Caption | None:
    for kept in layout.kept(media):
        data = read(kept)
        if data is not None:
            return _caption(kept, data)
    original = layout.original(media)
    data = read(original)
    if data is None or is_final(media, original, data):
        return None
    return _caption(original, data)


def read(path: Path) -> bytes | None:
    """What stands in a file, or None if there is none. Raises OSError if it cannot be read."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _caption(path: Path, data: bytes) -> Caption:
    text, encoding = decode(data)
    if encoding == "utf-8":
        return Caption(text, "human")
    message = f"{path.name} is not UTF-8: read as {encoding}, left as it is"
    return Caption(text, "human", problems=(Problem("not_utf8", False, message=message),))


def decode(data: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-8 with or without BOM, UTF-16 by its BOM, else Windows-1252.

    A UTF-8 BOM is dropped. Windows-1252 before any guess: byte 0x92, its apostrophe, is what
    stops trainers most often.
    """
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), "utf-16"
    return data.decode("cp1252", errors="replace"), "cp1252"
