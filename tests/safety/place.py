"""A fault's scene for R7: where it is played, how it is made as new, and what tells of the rest."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.faults.fault import Fault
from acpchaos.faults.session import Session
from acpchaos.target.profile import Profile, load_profile
from safety import target

Inside = Callable[[], list[str]]


@dataclass
class Place:
    """Where crashes of one fault are played. `patch` lasts for all of them; `ends` is closed before
    the next scene is made."""

    api: FakeApi
    patch: pytest.MonkeyPatch
    folder: Path
    ends: ExitStack = field(default_factory=ExitStack)


def as_it_is(profile: Profile, place: Place) -> Profile:
    """Of faults that need no more than the fake target's profile says."""
    return profile


class Scene(NamedTuple):
    """`prepare` makes the scene as new, and returns what tells of changes left inside a store;
    `begin` comes once before: what else the profile says, and which waits are short."""

    make: Callable[[Session], Fault]
    prepare: Callable[[Place], Inside]
    begin: Callable[[Profile, Place], Profile] = as_it_is


def nothing() -> list[str]:
    """Of faults that change nothing but the API server's objects."""
    return []


def plain(place: Place) -> Inside:
    """The smaller scene."""
    target.fresh(place.api)
    return nothing


def larger(place: Place) -> Inside:
    """Six Redis nodes, Patroni, services of the cluster."""
    target.fresh_and_whole(place.api)
    return nothing


@contextmanager
def fake_target() -> Iterator[tuple[Place, Profile]]:
    """A fake target of its own with its profile, its waits hurried, until the block ends."""
    api = FakeApi()
    try:
        with (
            tempfile.TemporaryDirectory() as folder, target.impatient(),
            pytest.MonkeyPatch.context() as patch, ExitStack() as ends,
        ):  # fmt: skip
            profile = load_profile(scene.write_profile(api, Path(folder)))
            yield Place(api, patch, Path(folder), ends), profile
    finally:
        api.close()
