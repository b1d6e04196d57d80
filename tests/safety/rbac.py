"""What the calls on the fake API server needed, as rights; and a server that holds to its roles."""

from collections.abc import Iterable

from fake_api.server import FakeApi, _parsed

from acpchaos.faults.fault import Need
from acpchaos.faults.rights import covers
from acpchaos.target.kinds import KINDS

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_KIND_OF = {kind.plural: name for name, kind in reversed(KINDS.items()) if name != "PodMetrics"}


def used(api: FakeApi) -> set[Need]:
    """One right per call, as narrow as the call was. Access reviews need none."""
    rights: set[Need] = set()
    for call, watch in api.store.asked:
        method, _, path = call.partition(" ")
        plural, space, name, sub = _parsed(path)
        if plural == "selfsubjectaccessreviews":
            continue
        verb = _VERBS.get(method) or ("watch" if watch else "get" if name else "list")
        right = Need(verb, _KIND_OF[plural], space, sub, name)
        rights.add(right)
        if sub == "exec":  # a WebSocket: Kubernetes 1.35 asks for create as well
            rights.add(right._replace(verb="create"))
    return rights


def missing(granted: Iterable[Need], needed: Iterable[Need]) -> list[str]:
    """Calls that nothing granted allows."""
    every = list(granted)
    return sorted(str(each) for each in needed if not any(covers(g, each) for g in every))


def unused(granted: Iterable[Need], needed: Iterable[Need]) -> list[str]:
    """What is granted and was not needed by any call."""
    calls = list(needed)
    return sorted(str(each) for each in granted if not any(covers(each, call) for call in calls))
