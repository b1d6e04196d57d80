"""HARD-45: settings that make any installation unsafe, as a table.

Room: check. Names are compared without case, dots and dashes, so that one line of the table covers
the setting, its flag and its variable. TLS of ACP's own port is left to HARD-29.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from acpchaos.check.posture import doors
from acpchaos.check.posture.flags import environments, legible, nested, without
from acpchaos.check.posture.objects import boolean, leaves
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, rule
from acpchaos.check.posture.view import View, containers
from acpchaos.check.posture.workload import Container, Door
from acpchaos.record.sealed import opened


def _is_on(value: Any) -> bool:
    return boolean(value) is True


def _is_off(value: Any) -> bool:
    return boolean(value) is False and value != ""


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: bool(re.search(pattern, str(value), re.IGNORECASE))


class Unsafe(NamedTuple):
    """One line: the end of a name, the value that is unsafe there, and why."""

    name: str
    bad: Callable[[Any], bool]
    safe: str
    why: str


TABLE = (
    Unsafe("(insecure_)?disable_csrf|csrf_disabled?", _is_on, "false",
           "another site may act in a user's name"),
    Unsafe(r"insecure(_[a-z_]+)?|(tls_|ssl_)?skip_verify", _is_on, "false",
           "what is connected to is not verified"),
    Unsafe("(?<!dangerous_)disable_(tls|ssl)|(tls|ssl)_disabled?", _is_on, "false",
           "traffic is plain text"),
    Unsafe("dangerous_(?!disable_tls$)[a-z_]+", _is_on, "false", "the name says it"),
    Unsafe("tls_enabled", _is_off, "true", "traffic to a store is plain text"),
    Unsafe("debug|debug_mode|fake_data|integration_endpoints", _is_on, "false",
           "it is made for tests, and tells or allows more than users may have"),
    Unsafe("log(ging|ger)?_?level", _matches("^(debug|trace|all)$"), "info",
           "such logs hold tokens and personal data"),
    Unsafe("url|uri|dsn", _matches(r"\bsslmode=(disable|allow|prefer)\b"), "sslmode=verify-full",
           "traffic to the database is, or may become, plain text"),
    Unsafe("sslmode", _matches("^(disable|allow|prefer)$"), "verify-full",
           "traffic to the database is, or may become, plain text"),
    Unsafe("node_tls_reject_unauthorized", _matches("^0$|^false$"), "absent",
           "functions verify no certificate"),
)  # fmt: skip


class Told(NamedTuple):
    """A setting of any door: its plain name, where it stands, its possible values, its remedy with
    a place for the safe value."""

    name: str
    door: Door
    values: tuple[Any, ...]
    remedy: str


@rule(
    "HARD-45",
    evidence="all flags, settings and variables of ACP, its workers, jobs and functions; "
    "GET /environment",
    passes="none is in the table of unsafe switches: no CSRF check, no verification, no TLS to a "
    "store, debug logs, test features, sslmode=disable",
    source="an extension of the vendor document: switches seen in vendor samples and their kind",
    remedy="remove the setting, or waive it with a reason and an end",
)
def unsafe_switches(view: View) -> Judgement:
    parts: list[Part] = []
    for pods in [*view.acp, *view.jobs, *view.faas]:
        for each in containers(pods):
            parts += [
                partial(_checked, partial(_flags, view, each), str(pods)),
                *(partial(_checked, partial(_file, view, each, path), "")
                  for path in doors.settings_files(view, each)),
                *(partial(_checked, partial(_variable, each, found), "")
                  for found in doors.environment(view, each)),
                partial(legible, view, each),
            ]  # fmt: skip
    if view.snapshot.source != "manifests":
        parts.append(partial(_checked, partial(_answers, view), "GET /environment"))
    return joined(parts)


def _checked(tell: Callable[[], Iterable[Told]], read: str) -> Judgement:
    """All settings of one door against the table; a sealed one that the table names is unknown."""
    findings, sealed = [], []
    for name, door, values, remedy in tell():
        lines = _lines(name)
        if lines and any(opened(value) for value in values):
            sealed.append(door)
        broken = [line for line in lines if any(line.bad(value) for value in values)]
        findings += [_finding(line, door, remedy) for line in broken[:1]]
    if sealed and not findings:
        raise Unreadable(f"{sealed[0].object} {sealed[0].field} is sealed, so it is not known")
    return Judgement(findings=tuple(findings), read=(read,) if read else ())


def _lines(name: str) -> list[Unsafe]:
    return [line for line in TABLE if re.search(rf"(?:^|_)(?:{line.name})$", name)]


def _finding(line: Unsafe, door: Door, remedy: str) -> Finding:
    return Finding(
        object=door.object, field=door.field, saw=f"{_plain(door.value)} ({line.why})",
        want=line.safe, remedy=remedy.replace("{}", line.safe),
    )  # fmt: skip


def _plain(value: Any) -> str:
    """A value without what is sealed in it."""
    return re.sub(r"sealed:[\w.:-]+", "...", str(value))


def _name(text: str) -> str:
    """SERVER_DISABLE_CSRF, --server.disable-csrf and server.disable_csrf are one name."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")


def _flags(view: View, container: Container) -> Iterator[Told]:
    """A bare flag may be a switch that is on, or have its value in the next word."""
    every = doors.words(view, container)
    for at, (field, text, _) in enumerate(every):
        if not text.startswith("--"):
            continue
        key, eq, value = text.partition("=")
        following = every[at + 1].text if at + 1 < len(every) else "-"
        values = (value,) if eq else (True, *([] if following.startswith("-") else [following]))
        door = Door(str(container.owner), field, text if eq else f"{key} {following}".rstrip(" -"))
        yield Told(_name(key), door, values, without(door))


def _file(view: View, container: Container, path: str) -> Iterator[Told]:
    found = doors.file(view, container, path)
    if found is None:
        return
    for place, value in leaves(found.content):
        door = Door(found.object, f"data[{found.key}].{place}", value)
        yield Told(_name(place), door, (value,), nested(place, "{}"))


def _variable(container: Container, found: doors.Variable) -> Iterator[Told]:
    hides = found.name == doors.ANY or _lines(_name(found.name))
    if found.unread and hides:
        raise Unreadable(f"variable {found.name} of {container.owner}: {found.unread}")
    door = Door(str(container.owner), found.field, f"{found.name}={found.value}")
    yield Told(_name(found.name), door, (found.value,), f'{found.name}: "{{}}"')


def _answers(view: View) -> Iterator[Told]:
    """Switches as ACP itself tells them."""
    remedy = "find the flag, file or variable that sets it, and restart ACP"
    for path, body in environments(view).items():
        for key, value in body.items():
            yield Told(_name(key), Door(path, key, value), (value,), remedy)
