"""The journal of mutations: durable before the call, and nothing in it can change unseen."""

import errno
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from acpchaos.record import mutations
from acpchaos.record.mutations import JournalUnwritable, Mutations, read_chain


def written(path: Path, calls: int = 4) -> Path:
    with Mutations(path) as journal:
        for number in range(calls):
            body = {"metadata": {"uid": f"u{number}"}, "spec": {"text": "what-nobody-may-read"}}
            journal.after(journal.before("PATCH", f"/api/v1/nodes/n{number}", body), 200, "")
    return path


def test_what_is_written_is_read_back_whole(tmp_path: Path) -> None:
    chain = read_chain(written(tmp_path / "m"))
    assert (chain.faults, chain.unfinished) == ([], [])
    assert [(line.method, line.path, line.uid) for line in chain.calls] == [
        ("PATCH", f"/api/v1/nodes/n{number}", f"u{number}") for number in range(4)
    ]


def swap(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def alter(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"200", b"403"), *lines[2:]]


def repeat(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[1], *lines[2:]]


def tear(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1][:20], *lines[2:]]


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (lambda lines: [lines[0], *lines[2:]], "line 2 was written as line 3"),
        (lambda lines: lines[1:], "line 1 was written as line 2"),
        (swap, "line 2 does not follow"),
        (alter, "line 3 does not follow"),
        (repeat, "line 3 was written as line 2"),
        (tear, "line 2 is torn"),
        (lambda lines: lines[:-1], "never closed"),
        (lambda lines: [], "never closed"),
    ],
)
def test_each_harm_shows(
    tmp_path: Path, harm: Callable[[list[bytes]], list[bytes]], expected: str
) -> None:
    path = written(tmp_path / "m")
    path.write_bytes(b"".join(line + b"\n" for line in harm(path.read_bytes().splitlines())))
    assert expected in "; ".join(read_chain(path).faults)


def test_every_single_changed_byte_shows(tmp_path: Path) -> None:
    """But in the closing line, which only the seal of the folder covers."""
    path = written(tmp_path / "m", calls=1)
    content = path.read_bytes()
    covered = content.rstrip(b"\n").rfind(b"\n")
    for at in range(covered):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert read_chain(path).faults, f"byte {at}"


def test_a_torn_end_is_told_and_the_chain_goes_on_over_it(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    path.write_bytes(path.read_bytes()[:-30])
    written(path)
    assert read_chain(path).faults == ["line 9 is torn or unreadable"]


def test_a_call_without_an_outcome_is_told(tmp_path: Path) -> None:
    with Mutations(tmp_path / "m") as journal:
        journal.before("DELETE", "/api/v1/nodes/n", {"preconditions": {"uid": "u"}})
    chain = read_chain(tmp_path / "m")
    assert chain.unfinished == ["DELETE /api/v1/nodes/n"] and chain.calls[0].uid == "u"


def test_bodies_are_not_kept_and_of_secrets_not_even_a_hash(tmp_path: Path) -> None:
    path = written(tmp_path / "m")
    with Mutations(path) as journal:
        journal.before("PUT", "/api/v1/namespaces/a/secrets/s", {"data": {"k": "djRsdWU="}})
    text = path.read_text()
    assert "what-nobody-may-read" not in text and "djRsdWU" not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert [("secrets" in line["path"], "body_sha256" in line) for line in lines
            if line["state"] == "intent"] == [(False, True)] * 4 + [(True, False)]  # fmt: skip


def append(path: Path, count: int) -> None:
    journal = Mutations(path)
    for number in range(count):
        journal.after(journal.before("PATCH", f"/n{number}", {}), 200, "")


def test_processes_share_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "m"
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=append, args=(path, 20)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    append(path, 1)
    with Mutations(path) as last:
        last.before("PATCH", "/end", {})
    chain = read_chain(path)
    assert chain.faults == [] and len(chain.calls) == 82
    assert chain.unfinished == ["PATCH /end"]


def test_a_full_disk_keeps_a_change_from_being_made_but_not_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = Mutations(tmp_path / "m")
    monkeypatch.setattr(mutations.os, "write", full)
    with pytest.raises(JournalUnwritable, match="No space left"):
        journal.before("PATCH", "/n", {})
    lenient = journal.lenient()
    lenient.after(lenient.before("PATCH", "/n", {}), 200, "")


def test_an_undo_writes_into_its_run_unless_that_is_sealed_or_unknown(tmp_path: Path) -> None:
    run = tmp_path / "r"
    assert mutations.file_of(tmp_path, "r") == tmp_path / "r-undo" / "mutations.ndjson"
    run.mkdir()
    assert mutations.file_of(tmp_path, "r") == run / "mutations.ndjson"
    (run / "manifest.json").write_text("{}")
    assert mutations.file_of(tmp_path, "r") == tmp_path / "r-undo" / "mutations.ndjson"
