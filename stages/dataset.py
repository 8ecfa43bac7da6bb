"""A dataset on disk: which media a folder holds, and where each of their texts lies."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from stages.kinds import IMAGES, MEDIA, VIDEOS, kind_of
from stages.sample import Fatal
from stages.scan import Found, scan

SUFFIXES = {"manual": "_manual", "generated": "_generated", "combined": "_combined"}
_SUFFIXES = tuple(SUFFIXES.values())
_SIDECARS = tuple(f"{suffix}.txt" for suffix in _SUFFIXES)


_WISHED = {"all": MEDIA, "images": IMAGES, "videos": VIDEOS}


@dataclass(frozen=True, slots=True)
class Options:
    """What is captioned."""

    dataset_dir: str = field(
        default="",
        metadata={"help": "folder of images, videos and their captions", "metavar": "DIR"},
    )
    only: str = field(
        default="all",
        metadata={"help": "what is captioned", "choices": ("all", "images", "videos")},
    )
    files: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "these alone, or all below these folders",
            "metavar": "PATH",
        },
    )
    recursive: bool = field(default=True, metadata={"help": "do not look into subfolders"})
    skip_captioned: bool = field(
        default=False,
        metadata={
            "help": "leave files alone that have a caption of your own, in place of using it"
        },
    )
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
        metadata={
            "help": "only the first N files of the sorted list (0: all)",
            "metavar": "N",
            "least": 0,
        },
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
        if len(extension) < 2 or "/" in extension or extension.lower() in MEDIA:
            raise Fatal(f"--caption_extension {options.caption_extension!r} cannot be used", 2)
        return cls(
            root=root,
            sidecars=_elsewhere("--sidecar_dir", options.sidecar_dir, root),
            finals=_elsewhere("--output_dir", options.output_dir, root),
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

    def name(self, path: Path | str) -> str:
        """A path as people and the journal know it: relative to the dataset, with slashes."""
        # Not relative_to, which parses both: every file is named some ten times a run.
        text, root = os.fspath(path), os.fspath(self.root)
        inside = text.startswith(root) and text[len(root) : len(root) + 1] == os.sep
        text = text[len(root) + 1 :] if inside else text
        return text if os.sep == "/" else text.replace(os.sep, "/")

    def stem(self, media: Path | str, folder: Path) -> str:
        """What the paths of a media file's texts in one of the folders begin with."""
        # Not with_suffix or with_name: they cost a parse each, and 200,000 files have five texts.
        stem = os.path.splitext(os.fspath(media))[0]
        if folder is self.root:
            return stem
        return os.path.join(folder, stem[len(os.fspath(self.root)) :].lstrip(os.sep))

    def _beside(self, media: Path, folder: Path, ending: str) -> Path:
        return Path(self.stem(media, folder) + ending)


def _absolute(folder: str) -> Path:
    """The journal names texts outside the dataset by it, from whatever folder a run starts."""
    return Path(os.path.abspath(Path(folder).expanduser()))


def _elsewhere(flag: str, folder: str, root: Path) -> Path:
    """`folder`, or `root` itself if that is what it is, by whatever name: texts there are not
    elsewhere, and a person's caption among them must be kept."""
    if not folder:
        return root
    path = _absolute(folder)
    if path.exists() and not path.is_dir():
        raise Fatal(f"{flag} {folder}: this is a file, not a folder", 2)
    return root if path.exists() and path.samefile(root) else path


@dataclass(frozen=True, slots=True)
class Survey:
    """A dataset folder with what is wrong with its names, by file."""

    media: list[str]  # sorted by path, all of them; not as Paths, which cost 500 bytes each
    clashes: dict[str, str]  # media that would share a caption file with another: the reason
    orphans: dict[str, list[str]]  # captions that nobody reads, by the reason; names as `name` says
    hidden: list[Path]  # hidden files and folders, the ._ files of macOS among them


def survey(options: Options, layout: Layout) -> Survey:
    """What lies below the dataset folder. Raises Fatal if there are no media, or not those that are
    named."""
    found = scan(layout.root, options.recursive, layout.extension, _SIDECARS)
    # The others are found too: a caption of theirs is no orphan.
    media = sorted(found.media, key=_by_folder)
    wished = _WISHED[options.only]
    if wished is not MEDIA:
        media = [path for path in media if _extension(path) in wished]
    if not media:
        found.others.update(f"{_extension(path)} files" for path in found.media)
        seen = ", ".join(f"{count} {kind}" for kind, count in found.others.most_common(5))
        what = "images or videos" if wished is MEDIA else options.only
        raise Fatal(
            f"no {what} in {layout.root} (looked for {' '.join(sorted(wished))}; "
            f"found {seen or 'nothing at all'})",
            2,
        )
    hidden = sorted(map(Path, found.hidden))
    clashes = _clashes(media, layout)
    return Survey(_named(media, options, layout), clashes, _orphans(found, layout), hidden)


def find(options: Options, layout: Layout) -> tuple[list[str], list[str]]:
    """All media below the dataset folder, sorted by their path, `limit` cutting the list; and what
    a person should know of the captions there.

    Raises Fatal if there are no media, or if two of them would share caption files.
    """
    seen = survey(options, layout)
    if seen.clashes:
        clashes = list(seen.clashes.values())
        more = f"; and {len(clashes) - 5} more" if len(clashes) > 5 else ""
        raise Fatal("; ".join(clashes[:5]) + more, 2)
    return _first(seen.media, options.limit), notices(seen)


def notices(seen: Survey) -> list[str]:
    """What a person should know of the captions."""
    return [
        f"{len(names)} captions {reason} ({', '.join(names[:3])}{' …' * (len(names) > 3)})"
        for reason, names in seen.orphans.items()
    ]


def apart(seen: Survey, layout: Layout, limit: int) -> tuple[list[str], list[str]]:
    """(media that share no caption file with another one, what is to be said of the others)."""
    shared = set()
    for path in seen.clashes:
        stem = _folded(layout.name(path))
        shared.update({stem, *(stem.removesuffix(suffix) for suffix in _SUFFIXES)})
    alone = [path for path in seen.media if not shared or _folded(layout.name(path)) not in shared]
    return _first(alone, limit), list(dict.fromkeys(seen.clashes.values()))


def _named(media: list[str], options: Options, layout: Layout) -> list[str]:
    """Those that `--files` names; all, where it names none."""
    if not options.files:
        return media
    here: set[str] = set()
    missing = []
    for name in options.files:
        # As it is called within the folder, or as a shell completes it.
        places = (os.path.join(layout.root, name), os.path.abspath(os.path.expanduser(name)))
        for place in map(os.path.normpath, places):
            below = place.rstrip(os.sep) + os.sep
            found = {path for path in media if path == place or path.startswith(below)}
            if found:
                here |= found
                break
        else:
            missing.append(name)
    if missing:
        names = ", ".join(missing[:5])
        raise Fatal(f"--files: no image or video of {layout.root} is there: {names}", 2)
    return [path for path in media if path in here]


def _first(media: list[str], limit: int) -> list[str]:
    return media[:limit] if limit > 0 else media


def _extension(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _by_folder(path: str) -> str:
    """In the order of Paths: name by name, each folder's files together."""
    return os.path.normcase(path).replace(os.sep, "\0")


NO_PICTURE = "belong to no picture or video"
OTHER_FORM = "are not read: their accents have another Unicode form (NFC, NFD) than the picture's"


def _orphans(found: Found, layout: Layout) -> dict[str, list[str]]:
    """Captions that a person may believe to be read, and are not."""
    stems = {os.path.splitext(path)[0] for path in found.media}
    forms = {unicodedata.normalize("NFC", stem) for stem in stems if not stem.isascii()}
    reasons: dict[str, list[str]] = {}
    for text in found.texts:
        stem, extension = os.path.splitext(text)
        if stem not in stems:
            form = not stem.isascii() and unicodedata.normalize("NFC", stem) in forms
            reason = OTHER_FORM if form else NO_PICTURE
        elif extension == layout.extension:
            continue
        elif extension.lower() == layout.extension.lower():
            reason = f"are not read: trainers look for {layout.extension}, rename them"
        else:
            reason = f"are not read: --caption_extension is {layout.extension}"
        reasons.setdefault(reason, []).append(layout.name(text))
    return {reason: sorted(names) for reason, names in reasons.items()}


def _clashes(media: list[str], layout: Layout) -> dict[str, str]:
    """Two media that would share a caption file: the one would get the other's caption."""
    owners: dict[str, str] = {}
    clashes = {}
    for path in media:
        other = owners.setdefault(_folded(layout.name(path)), path)
        if other is not path:
            names = f"{layout.name(other)} and {layout.name(path)}"
            kinds = {kind_of(other), kind_of(path)}
            apart = ", or caption the images alone with --only images" if len(kinds) > 1 else ""
            clashes[path] = f"{names} would share one caption file: rename one of them{apart}"
    for stem, path in owners.items():
        if not stem.endswith(_SUFFIXES):
            continue
        (suffix,) = (suffix for suffix in _SUFFIXES if stem.endswith(suffix))
        owner = owners.get(stem.removesuffix(suffix))
        of = f" of {layout.name(owner)}" if owner else ""
        sidecar = f"its caption would have the name of a {suffix}.txt sidecar{of}"
        clashes[path] = f"{layout.name(path)}: {sidecar}; rename the {kind_of(path)}"
    return clashes


def _folded(name: str) -> str:
    """What the names of a picture's texts begin with. Names that differ only by case or Unicode
    form are one name on Windows and macOS."""
    return unicodedata.normalize("NFC", os.path.splitext(name)[0]).casefold()
