"""P7 and P8 on crafted measurements on both sides of each bar, and small ones for real."""

import json
from collections import Counter

import pytest

from benchmarks import listing, pods, watching
from benchmarks.api import Script
from benchmarks.listing import Cost

SCRIPT = Script(pods=10, events=1000, burst=100, jump=20)


@pytest.mark.parametrize(
    ("official", "count", "met"),
    [
        ((4.1, 101), 10_000, True),
        ((3.9, 101), 10_000, False),  # time
        ((4.1, 99), 10_000, False),  # memory
        ((4.1, 101), 9_999, False),  # another question
    ],
)
def test_lists_are_compared_in_time_and_memory(official, count, met):
    seen = {"official": [Cost(*official)] * 3, "ours": [Cost(9, 9), Cost(0.1, 10), Cost(0.1, 10)]}
    assert listing.row(seen, count).met is met


def changes(without=(), twice=()):
    seen = Counter(range(1, 1001))
    seen.update(twice)
    return Counter({n: count for n, count in seen.items() if n not in without})


@pytest.mark.parametrize(
    ("cpu_s", "seen", "unseen", "gaps", "met"),
    [
        (0.09, changes(), set(), 9, True),
        (0.11, changes(), set(), 9, False),  # slow
        (0.09, changes(without=[500]), set(), 9, False),  # lost
        (0.09, changes(without=[500]), {500}, 9, True),  # overtaken while nobody could see it
        (0.09, changes(twice=[7]), set(), 9, False),  # told twice
        (0.09, changes(), set(), 0, False),  # interruptions that nobody told
        (0.04, changes(without=range(501)), set(range(1, 501)), 9, False),  # hardly anything to see
    ],
)
def test_changes_are_counted(cpu_s, seen, unseen, gaps, met):
    assert watching.row(SCRIPT, cpu_s, seen, unseen, gaps).met is met


def test_no_change_is_lost_over_every_kind_of_cut():
    (found,) = watching.run(1600, cuts=4)
    assert ", 0 lost" in found.figure and " 0 twice" in found.more
    overtaken = int(found.more.split("told, ")[1].split()[0])
    assert overtaken > 0, "some changes fell into the history that was gone"


def test_both_clients_list_the_same_pods():
    (found,) = listing.run(40, rounds=1)
    assert not found.met and found.figure.startswith("1/")


def test_pods_are_as_large_as_real_ones():
    assert 4000 < len(pods.body(10)) / 10 < 6000
    assert json.loads(pods.body(2))["items"][1]["metadata"]["resourceVersion"] == "2"
