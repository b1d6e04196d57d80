"""H1: a review of a large cluster from its snapshot. H2: the kill matrix without a cluster.

Both are whole commands in children of their own, since that is what people wait for: interpreter,
imports, judgement and all files of a review. Python's compiled files are kept for the second and
later rounds, and thrown away.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.machine import PROJECT
from benchmarks.table import Row

LARGE_S, LARGE_MB, MATRIX_S = 5.0, 300.0, 60.0
PODS, POLICIES, ROWS = 5_000, 500, 53
HELD = (0, 1, 10)  # exit codes of a review that came to its end


class Child(NamedTuple):
    """What a command took: seconds on the clock and of CPU, its largest memory in 10^6 bytes."""

    code: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    told: str


def run(rounds: int) -> list[Row]:
    """Both rows; the median of the rounds after the first, which warms up."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        child([sys.executable, "-m", "tests.posture.large", str(place / "large")], place)
        words = [sys.executable, "-m", "acpchaos.cli", "posture", "--snapshot",
                 str(place / "large"), "--reports", str(place / "reports")]  # fmt: skip
        seen = [child(words, place) for _ in range(1 + rounds)][1:]
        matrix = child([sys.executable, "-m", "posture.kill_matrix"], place, PROJECT / "tests")
    return [large(seen), kills(matrix)]


def child(words: Sequence[str], place: Path, folder: Path = PROJECT) -> Child:
    """A command to its end. Its compiled files lie in `place`, whatever the environment says."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    own |= {"PYTHONPYCACHEPREFIX": str(place / "compiled"), "COLUMNS": "200"}
    begin_s = time.monotonic()
    with (place / "told").open("w+") as told:
        ran = subprocess.Popen(words, cwd=folder, env=own, stdout=told, stderr=told)
        _, status, used = os.wait4(ran.pid, 0)
        wall_s = time.monotonic() - begin_s
        ran.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        text = told.read()
    cpu_s, peak_mb = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6
    return Child(ran.returncode, wall_s, cpu_s, peak_mb, text)


def large(seen: Sequence[Child]) -> Row:
    """A review that did not judge all rows counts for nothing."""
    wall_s = median(each.wall_s for each in seen)
    peak_mb = max(each.peak_mb for each in seen)
    judged = [f"{ROWS} rows judged" in each.told and each.code in HELD for each in seen]
    cpu_s = median(each.cpu_s for each in seen)
    return Row(
        id="H1", what=f"acpchaos posture on a snapshot of {PODS:,} pods and {POLICIES} policies",
        bar=f"{LARGE_S:g} s, {LARGE_MB:g} MB", stretch="3 s, 200 MB",
        figure=f"{wall_s:.1f} s, {peak_mb:.0f} MB",
        met=all(judged) and wall_s <= LARGE_S and peak_mb <= LARGE_MB,
        more=f"{cpu_s:.1f} s of CPU" if all(judged) else seen[judged.index(False)].told[-300:],
    )  # fmt: skip


def kills(matrix: Child) -> Row:
    """The matrix with every sabotage killed."""
    told = re.findall(r"\d+ of \d+ rows killed", matrix.told)[-1:]
    return Row(
        id="H2", what="kill matrix of the hardening rows, without a cluster",
        bar=f"{MATRIX_S:g} s", stretch="30 s", figure=f"{matrix.wall_s:.1f} s",
        met=matrix.code == 0 and bool(told) and matrix.wall_s <= MATRIX_S,
        more=", ".join([*told, f"{matrix.cpu_s:.1f} s of CPU"]),
    )  # fmt: skip
