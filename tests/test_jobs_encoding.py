"""`enhance fix-encoding DIR`: caption files become UTF-8 without BOM."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from doors import finals, run, run_here, snapshot
from few import caption_all, captioned, changed, kept, long_ago, said, texts, write
from launches import leftovers
from loopback import ChatServer
from test_imports import HEAVY, imported

SMART = "Otto’s “café” – Otto’s"
ODD = {
    "windows": SMART.encode("cp1252"),
    "utf-16": SMART.encode("utf-16"),
    "big endian": b"\xfe\xff" + SMART.encode("utf-16-be"),
    "bom": SMART.encode("utf-8-sig"),
    "two boms": b"\xef\xbb\xbf" + SMART.encode("utf-8-sig"),
    "été/日本 a": "naïve\r\n".encode("cp1252"),
    "bom alone": b"\xef\xbb\xbf",
}
FINE = {"utf-8": SMART.encode(), "ascii": b"made for Otto\r\n", "empty": b""}
LOST = {
    "undefined": b"Otto\x81",
    "no bom": "Otto".encode("utf-16-le"),
    "cut off": b"\xff\xfeO\x00t",
    "half": b"\xef\xbb\xbfcaf\xe9",
    "utf-32": "Otto".encode("utf-32"),
}


NUL = "holds NUL characters, as UTF-16 without a byte order mark does"
LEFT = "left as it is: save it as UTF-8, or say --encoding NAME"
# Not Windows-1252, although most of it can be read as such.
FOREIGN = {
    "cp1251": "Анника машет рукой",
    "koi8_r": "annika и кот",
    "cp1253": "η annika τρέχει",
    "gbk": "annika在公园里散步",
    "shift_jis": "花子が走る",
    "euc_kr": "안니카가 걷는다",
    "cp1250": "łódź, annika",
    "utf-16-le": "annika waving",
}
WESTERN = [
    "«Été» à Évian, où l’œuvre créée… “État”, CAFÉ CRÉÉE",
    "Zürich – Größe: 5½ €, 20 °C, Ä, Ö",
    "Señor ¿Él? ¡Ándale! 3ª África",
    "São João, ação, vovó à toa; às ã",
    "på ø, å æ Öland. Þór á Íslandi, ýsa æði",
]


def test_every_encoding_becomes_utf8_and_each_change_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "my images", {**ODD, **FINE})
    characters = "(’ ×2, “, é, ”, –)"
    assert said(capsys, 0, "fix-encoding", folder) == [
        f"big endian.txt: UTF-16 to UTF-8 {characters}",
        "bom alone.txt: UTF-8 with BOM to UTF-8 (ASCII only)",
        f"bom.txt: UTF-8 with BOM to UTF-8 {characters}",
        f"two boms.txt: UTF-8 with BOM to UTF-8 {characters}",
        f"utf-16.txt: UTF-16 to UTF-8 {characters}",
        f"windows.txt: cp1252 to UTF-8 {characters}",
        "été/日本 a.txt: cp1252 to UTF-8 (ï)",
        "10 files: 7 changed, 3 already UTF-8, 0 listed",
    ]
    right = dict.fromkeys(("windows", "utf-16", "big endian", "bom", "two boms"), SMART)
    assert finals(folder) == {
        **right,
        "été/日本 a": "naïve\r\n",
        "bom alone": "",
        **{stem: data.decode() for stem, data in FINE.items()},
    }
    assert kept(folder) == {f"{stem}.txt": [data] for stem, data in ODD.items()}
    assert leftovers(folder) == []


def test_a_second_time_and_in_a_dry_run_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "images", {**ODD, **LOST})
    before = snapshot(folder)
    planned = said(capsys, 0, "fix-encoding", folder, "--dry_run")
    assert snapshot(folder) == before
    assert planned[-1] == "12 files: 7 would be changed, 0 already UTF-8, 5 listed"
    assert said(capsys, 0, "fix-encoding", folder)[:-1] == planned[:-1]
    before = snapshot(folder)
    assert said(capsys, 0, "fix-encoding", folder)[-1].startswith("12 files: 0 changed, 7 already")
    assert snapshot(folder) == before


def test_what_is_in_no_known_encoding_is_left_and_listed_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "images", LOST)
    (folder / "loop.txt").symlink_to("loop.txt")
    before = snapshot(folder)
    lines = said(capsys, 3, "fix-encoding", folder, "--strict")
    assert lines[:-1] == [
        f"cut off.txt: begins as UTF-16, and is not from byte 5 on; {LEFT}",
        f"half.txt: begins as UTF-8, and is not from byte 7 on; {LEFT}",
        f"loop.txt: cannot read or write {folder / 'loop.txt'}: Too many levels of symbolic links",
        f"no bom.txt: {NUL}; {LEFT}",
        f"undefined.txt: byte 5 (0x81) is neither UTF-8 nor Windows-1252; {LEFT}",
        f"utf-32.txt: {NUL}; {LEFT}",
    ]
    assert snapshot(folder) == before


@pytest.mark.parametrize("encoding", FOREIGN)
def test_a_doubtful_encoding_is_not_guessed_and_is_read_once_it_is_named(
    tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = FOREIGN[encoding].encode(encoding)
    folder = captioned(tmp_path / "images", {"one": data, **FINE})
    for job in ("fix-encoding", "clean"):
        lines = said(capsys, 3, job, folder, "--strict")
        assert any(line.startswith("one.txt: ") and "--encoding NAME" in line for line in lines)
        assert (folder / "one.txt").read_bytes() == data
    said(capsys, 0, "fix-encoding", folder, "--encoding", encoding, "--strict")
    assert finals(folder)["one"] == FOREIGN[encoding]
    assert finals(folder)["utf-8"] == SMART


@pytest.mark.parametrize("text", WESTERN)
def test_western_texts_raise_no_doubt(tmp_path: Path, text: str) -> None:
    folder = captioned(tmp_path / "images", {"one": text.encode("cp1252")})
    assert run_here("fix-encoding", folder, "--strict") == 0
    assert finals(folder) == {"one": text}


def test_an_encoding_that_does_not_fit_or_is_none_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "images", {"one": b"annika\x81\x20 waving"})
    line = said(capsys, 3, "fix-encoding", folder, "--encoding", "shift_jis", "--strict")[0]
    assert line.startswith("one.txt: is not shift_jis from byte 7 on; left as it is")
    for none in ("klingon", "base64"):
        assert run_here("fix-encoding", folder, "--encoding", none) == 2
        assert "is no encoding of texts" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", [*FOREIGN, "ascii with NUL"])
def test_check_promises_only_what_the_jobs_keep(
    tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = FOREIGN.get(encoding, "annika\0waving")
    folder = captioned(tmp_path / "images", {"one": text.encode(encoding.split(" ")[0])})
    lines = said(capsys, 3, "check", folder, "--fail_on", "not_utf8")
    (told,) = (line for line in lines if line.startswith("  not_utf8: "))
    assert "--encoding NAME" in told
    assert "mends it" not in told


def test_a_run_leaves_a_picture_alone_whose_caption_it_would_have_to_guess(
    few: Path, server: ChatServer
) -> None:
    data = "Анника машет рукой".encode("cp1251")
    write(few / "one.txt", data)
    caption_all(few, server)
    assert (few / "one.txt").read_bytes() == data
    assert not (few / "one_manual.txt").exists()
    run_here("fix-encoding", few, "--encoding", "cp1251")
    caption_all(few, server)
    assert (few / "one_manual.txt").read_text("utf-8") == "Анника машет рукой"


def test_sidecars_orphans_and_other_extensions_are_caption_files_too(tmp_path: Path) -> None:
    folder, side = captioned(tmp_path / "images", {"one": b"Otto"}), tmp_path / "side"
    side.mkdir()
    names = ["one_manual.txt", "orphan.txt", "one.caption", "OTHER.TXT"]
    for path in [*(folder / name for name in names), side / "one_combined.txt"]:
        write(path, b"caf\xe9")
    write(folder / "notes.md", b"caf\xe9")
    flags = ("--caption_extension", "caption", "--sidecar_dir", side)
    assert run_here("fix-encoding", folder, *flags) == 0
    assert {(folder / name).read_bytes() for name in names} == {"café".encode()}
    assert (side / "one_combined.txt").read_bytes() == "café".encode()
    assert (folder / "notes.md").read_bytes() == b"caf\xe9"


def test_pictures_that_clash_or_that_are_none_do_not_stop_it(tmp_path: Path) -> None:
    folder = captioned(tmp_path / "images", {"one": b"caf\xe9"})
    shutil.copy(folder / "one.png", folder / "one.jpg")
    assert run_here("fix-encoding", folder) == 0
    assert finals(folder) == {"one": "café"}
    for path in folder.glob("one.*g"):
        path.unlink()
    write(folder / "one.txt", b"caf\xe9")
    assert run_here("fix-encoding", folder) == 0
    assert finals(folder) == {"one": "café"}


def test_the_config_file_and_others_that_are_named_are_changed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = captioned(tmp_path / "images", {"one": b"Otto"})
    config, prompt, link = tmp_path / "my.yaml", tmp_path / "prompt.txt", tmp_path / "link.yaml"
    write(config, f"dataset_dir: {folder}\nanchor: café\n".encode("cp1252"))
    os.chmod(config, 0o600)
    link.symlink_to(config)
    write(prompt, "Say “Otto”".encode("cp1252"))
    lines = said(
        capsys, 0, "fix-encoding", "--config", link, "--also", prompt, tmp_path / "missing.txt"
    )
    assert lines == [
        f"{config}: cp1252 to UTF-8 (é)",
        f"{prompt}: cp1252 to UTF-8 (“, ”)",
        f"{tmp_path / 'missing.txt'}: cannot read or write {tmp_path / 'missing.txt'}: "
        "No such file or directory",
        "4 files: 2 changed, 1 already UTF-8, 1 listed",
    ]
    assert config.read_bytes() == f"dataset_dir: {folder}\nanchor: café\n".encode()
    assert config.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert run_here("undo", "--config", link) == 0
    assert config.read_bytes() == f"dataset_dir: {folder}\nanchor: café\n".encode("cp1252")
    assert config.stat().st_mode & 0o777 == 0o600
    assert prompt.read_bytes() == "Say “Otto”".encode("cp1252")


def test_a_file_of_keys_is_not_taken_into_the_journal(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys" / ".env"
    keys.parent.mkdir()
    write(keys, "OPENAI_API_KEY=sécret".encode("cp1252"))
    assert "keys" in said(capsys, 0, "fix-encoding", few, "--also", keys)[0]
    assert keys.read_bytes() == "OPENAI_API_KEY=sécret".encode("cp1252")
    assert not (few / ".enhance").exists()


def test_a_caption_that_waits_to_be_used_still_waits(few: Path, server: ChatServer) -> None:
    write(few / "one.txt", SMART.encode("cp1252"))
    run_here("fix-encoding", few)
    caption_all(few, server)
    assert (few / "one_manual.txt").read_bytes() == SMART.encode()
    assert SMART in finals(few)["one"]


def test_after_a_run_texts_in_another_encoding_make_nothing_run_again(
    few: Path, server: ChatServer
) -> None:
    write(few / "one.txt", SMART.encode("utf-16"))
    caption_all(few, server)
    write(few / "two.txt", "my own “words”".encode("cp1252"))
    write(few / "sub" / "three_combined.txt", "“mine” in cutout style".encode("cp1252"))
    caption_all(few, server)
    before = texts(few)
    run_here("fix-encoding", few)
    fixed = {"one_manual.txt", "two.txt", "sub/three_combined.txt"}
    assert changed(before, texts(few)) == fixed
    before = texts(few)
    assert caption_all(few, server) == 0
    assert texts(few) == before
    caption_all(few, server, anchor="paper style")
    assert fixed.isdisjoint(changed(before, texts(few)))


@pytest.mark.parametrize("older", [False, True], ids=["edited final", "waits"])
def test_where_the_journal_was_deleted_it_changes_no_owner(
    few: Path, server: ChatServer, older: bool
) -> None:
    caption_all(few, server)
    shutil.rmtree(few / ".enhance")
    (few / "one_manual.txt").unlink()
    write(few / "one.txt", "Otto’s own".encode("cp1252"))
    if older:
        long_ago(few / "one.txt")
    for job in ("fix-encoding", "undo", "fix-encoding"):
        assert run_here(job, few) == 0
    caption_all(few, server, "--overwrite", "combined")
    assert (few / "one_manual.txt").exists() is older
    assert (finals(few)["one"] == "Otto’s own") is not older


def test_undo_brings_every_byte_back(tmp_path: Path) -> None:
    folder = captioned(tmp_path / "images", {**ODD, **FINE, **LOST})
    before = texts(folder)
    run_here("fix-encoding", folder)
    assert run_here("undo", folder) == 0
    assert texts(folder) == before


def test_a_damaged_config_file_is_refused(
    few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "my.yaml", b"anchor: caf\x81")
    assert run_here("fix-encoding", few, "--config", tmp_path / "my.yaml") == 2
    assert "my.yaml: byte 12 (0x81)" in capsys.readouterr().err


@pytest.mark.parametrize("job", ["clean", "undo", "fix-encoding"])
def test_each_of_these_jobs_explains_itself_and_imports_nothing_heavy(job: str, few: Path) -> None:
    done = run(job, "--help")
    assert done.returncode == 0
    assert f"usage: enhance {job}" in done.stdout
    assert "--dry_run" in done.stdout
    assert not imported(job, few).intersection(HEAVY)


def test_of_several_processes_of_a_launcher_one_does_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = captioned(tmp_path / "images", {"one": b"caf\xe9"})
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, right in (("1", b"caf\xe9"), ("0", "café".encode())):
        monkeypatch.setenv("RANK", rank)
        assert run_here("fix-encoding", folder) == 0
        assert (folder / "one.txt").read_bytes() == right
