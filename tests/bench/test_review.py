"""A review of a large cluster that is slow, large, or did not judge all rows misses its bar."""

import sys

import pytest

from benchmarks import review
from benchmarks.review import Child

JUDGED = "3.1 s  53 rows judged in 2.0 s"


def took(wall_s=2.0, peak_mb=200.0, code=1, told=JUDGED):
    return Child(code, wall_s, wall_s, peak_mb, told)


@pytest.mark.parametrize(
    ("seen", "met"),
    [
        ([took()], True),
        ([took(), took(wall_s=9.0), took()], True),  # the median
        ([took(wall_s=5.1)], False),
        ([took(), took(peak_mb=301), took()], False),  # the largest
        ([took(code=4)], False),
        ([took(told="52 rows judged in 2.0 s")], False),
    ],
)
def test_a_large_review(seen, met):
    assert review.large(seen).met is met


@pytest.mark.parametrize(
    ("matrix", "met"),
    [
        (took(told="53 of 53 rows killed, 9.1 s", code=0), True),
        (took(told="53 of 53 rows killed, 9.1 s", code=0, wall_s=61), False),
        (took(told="52 of 53 rows killed, 9.1 s", code=1), False),
        (took(told="", code=0), False),
    ],
)
def test_the_kill_matrix(matrix, met):
    assert review.kills(matrix).met is met


def test_a_child_is_measured_for_real(tmp_path):
    hungry = "held = bytearray(90_000_000); print('done'); raise SystemExit(10)"
    found = review.child([sys.executable, "-c", hungry], tmp_path)
    assert (found.code, found.told) == (10, "done\n")
    assert found.peak_mb > 90 and 0 < found.cpu_s <= found.wall_s + 0.5
