"""A live play of a fault counts only when it bit in full, was carried to its end and was undone."""

from pathlib import Path

import pytest
from fake_api.server import FakeApi

from acpchaos.errors import UsageError
from acpchaos.faults import catalogue_docs
from acpchaos.faults.catalogue_docs import Played
from acpchaos.record.events import AnyEvent, Fault, Undo, Witness
from acpchaos.record.journal import Journal
from acpchaos.target.profile import load_profile
from faults.catalogue_lab import Look, chosen, look, unsuited

VERBS = ("setup", "inject", "effective", "recover", "recovered", "cleanup")


def events(**changes: object) -> list[AnyEvent]:
    """One play: a verb a second, seen installed, undone."""
    told: list[AnyEvent] = [
        Fault(t_ns=int(n * 1e9), fault="dns_gone", verb=verb, ok=verb != changes.get("failed"))
        for n, verb in enumerate(VERBS)
        if verb not in str(changes.get("without", ""))
    ]
    if outcome := str(changes.get("outcome", "installed")):
        told.append(Witness(t_ns=3, fault="dns_gone", outcome=outcome, saw="0 pods left"))
    told.append(Undo(t_ns=4, change="replicas", state="recorded"))
    told.append(Undo(t_ns=5, change="replicas", state=str(changes.get("undone", "verified"))))
    return told


def looked(folder: Path, told: list[AnyEvent]) -> Look:
    with Journal(folder / "events" / "chaos.ndjson") as journal:
        for event in told:
            journal.write(event)
    return look(folder, "dns_gone", "")


def test_a_whole_play_counts_with_its_times(tmp_path: Path) -> None:
    seen = looked(tmp_path, events())
    assert seen.wrong == ""
    assert (seen.played.bit_s, seen.played.whole_s) == (2.0, 3.0)
    assert (seen.played.witness, seen.played.saw) == ("installed", "0 pods left")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"outcome": "partial"}, "partial: 0 pods left"),
        ({"outcome": "not installed"}, "not installed"),
        ({"outcome": ""}, "no witness"),
        ({"failed": "effective"}, "effective failed"),
        ({"without": "cleanup"}, "ended after setup, inject, effective, recover, recovered"),
        ({"undone": "failed"}, "replicas: failed"),
        ({"undone": "reverted"}, "replicas: reverted"),
    ],
)
def test_anything_less_does_not(tmp_path: Path, change: dict[str, str], wrong: str) -> None:
    assert wrong in looked(tmp_path, events(**change)).wrong


def test_what_does_not_apply_is_told_and_not_counted(api: FakeApi, profile_path: Path) -> None:
    profile = load_profile(profile_path)
    [(beneath, _), (dns, _)] = [*chosen(["node_freeze"]), *chosen(["dns_gone"])]
    assert unsuited(beneath, profile).startswith("not applicable: the profile names no mechanism")
    assert unsuited(dns, profile) == ""
    experiments = profile.experiments.model_copy(update={"may_disrupt": ()})
    refused = profile.model_copy(update={"experiments": experiments})
    assert unsuited(dns, refused) == ""  # refused, which is a failure on the lab


def test_faults_are_chosen_by_name() -> None:
    everything = {name for _, name in chosen([])}
    assert "load_surge" not in everything and {"dns_gone", "redis_flush"} <= everything
    assert [name for _, name in chosen(["dns_gone"])] == ["dns_gone"]
    with pytest.raises(UsageError, match="no such fault"):
        chosen(["dns"])


def test_a_new_play_stands_instead_of_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_docs, "PLAYED", tmp_path / "played.toml")
    catalogue_docs.PLAYED.write_text("play = []\n")
    first = Played("node_cut", "", "installed", 'no "beat"', 1.0, 2.0, "2026-11-01", "abc")
    other = first._replace(settings="direction: inbound")
    again = first._replace(whole_s=3.0, date="2026-11-02")
    for each in (first, other, again):
        catalogue_docs.keep_played(each)
    assert catalogue_docs.read_played() == [again, other]
