"""A journal that holds lines: whole ones on disk at each flush, nothing lost at an end."""

import signal
import subprocess
import sys
from pathlib import Path

from acpchaos.record.events import Rate
from acpchaos.record.journal import Journal, read_journal

KILLED = """
import os, signal, sys
from pathlib import Path
from acpchaos.record.events import Rate
from acpchaos.record.journal import Journal
journal = Journal(Path(sys.argv[1]), held=True)
for number in range(20000):
    journal.write(Rate(t_ns=number, per_s=1.5))
    if number == 14999:
        journal.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_held_until_flushed_and_flushed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    written = [Rate(t_ns=number, per_s=2.5) for number in range(3000)]
    journal = Journal(path, held=True)
    journal.write(written[0])
    assert path.read_bytes() == b""
    journal.flush()
    journal.flush()
    assert read_journal(path).events == written[:1]
    for event in written[1:]:
        journal.write(event)
    journal.close()
    journal.close()
    assert read_journal(path).events == written


def test_a_kill_loses_what_is_held_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    ended = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    read = read_journal(path)
    assert [event.t_ns for event in read.events] == list(range(15000))
    assert read.torn_since_ns is None


def test_both_ways_write_the_same(tmp_path: Path) -> None:
    for held in (True, False):
        with Journal(tmp_path / f"{held}.ndjson", held=held) as journal:
            journal.write(Rate(t_ns=1, per_s=0.1))
            journal.write(Rate(t_ns=2, per_s=0.2))
    assert (tmp_path / "True.ndjson").read_bytes() == (tmp_path / "False.ndjson").read_bytes()
    assert (tmp_path / "True.ndjson").stat().st_mode & 0o777 == 0o600
