"""R9 in small, and proof that it would tell: a take-over that does not look at the version."""

import pytest

from acpchaos.target.cluster import Object
from acpchaos.target.lock import Lock
from safety import races
from safety.rows import Metronome


def test_never_two_holders_and_every_refusal_names_one() -> None:
    with Metronome() as machine:
        seen = races.play(80)
    assert (seen.run, seen.double, seen.odd) == (80, [], [])
    assert seen.won >= 40  # of two ways out of four, one always wins
    assert seen.refusal_s < 1.0 + machine.late_s


def test_a_careless_take_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    body = Lock._body

    def careless(self: Lock) -> Object:
        made = body(self)

        class Unversioned(dict[str, object]):
            def __setitem__(self, key: str, value: object) -> None:
                if key != "resourceVersion":
                    super().__setitem__(key, value)

        made["metadata"] = Unversioned(made["metadata"])
        return made

    monkeypatch.setattr(Lock, "_body", careless)
    seen = races.play(80)
    assert seen.double or seen.odd  # the undo record is fenced, too, and names the other holder
