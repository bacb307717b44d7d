"""Files are written whole or not at all, and nothing is left beside them."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from iic_rt import files
from iic_rt.errors import OutputError
from iic_rt.files import make_folder, part_name, remove_stale, sync, write_bytes

LONGEST = "ü" * 125 + ".png"  # 254 bytes


def test_the_longest_name(tmp_path: Path) -> None:
    write_bytes(tmp_path / LONGEST, b"content")
    write_bytes(tmp_path / ("n" * 251 + ".png"), b"content")
    with pytest.raises(OutputError, match="name too long"):
        write_bytes(tmp_path / ("n" * 252 + ".png"), b"content")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o640])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == mode


def test_a_new_file_has_the_mode_that_the_system_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.png"
    link.symlink_to("real/a.png")
    for content in (b"first", b"second"):
        write_bytes(link, content)
        assert link.is_symlink()
        assert (tmp_path / "real/a.png").read_bytes() == content
    assert [p.name for p in (tmp_path / "real").iterdir()] == ["a.png"]


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("b.png")
    (tmp_path / "c.png").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        with pytest.raises(OutputError, match=f"cannot write .*{name}"):
            write_bytes(tmp_path / name, b"new")
    assert len(list(tmp_path.iterdir())) == 3


def test_ctrl_c_while_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_bytes(tmp_path / "a.png", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_what_a_kill_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    for name, hours in ((part_name(), 2), (part_name(), 0), ("a.part", 2), (".iic-rt-notes", 2)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - hours * 3600,) * 2)
    left = {path.name for path in tmp_path.iterdir()}
    remove_stale(tmp_path)
    gone = left - {path.name for path in tmp_path.iterdir()}
    assert len(gone) == 1
    assert gone.pop().startswith(f".iic-rt-{os.getpid()}-")


def test_folders_are_made_and_their_names_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert set(synced) == {tmp_path, tmp_path / "a"}
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make the folder .*Not a directory"):
        make_folder(tmp_path / "file" / "c")


@pytest.mark.parametrize(("number", "is_told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_cannot_sync_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_told: bool
) -> None:
    def refused(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refused)
    if is_told:
        with pytest.raises(OSError, match="Input/output"):
            sync(tmp_path)
    else:
        sync(tmp_path)
