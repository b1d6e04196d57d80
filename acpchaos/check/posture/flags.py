"""HARD-39 to HARD-43: switches of a first try-out are off, whichever door might turn them on.

Room: check. Flag, configuration file and variable each count, also where a later one would turn the
switch off again: the next change of order turns it on. What ACP itself answers is the last word.
"""

from functools import partial
from typing import Any, NamedTuple

from acpchaos.check.posture import doors
from acpchaos.check.posture.given import running_acp
from acpchaos.check.posture.objects import boolean, pointer
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, rule
from acpchaos.check.posture.view import View, containers
from acpchaos.check.posture.workload import Container, Door
from acpchaos.record.sealed import opened
from acpchaos.record.snapshot import Object

ENVIRONMENT = "/environment"  # ACP answers there how it was started
WANT = "false or absent"


class Switch(NamedTuple):
    """One switch: the flags that turn it on, the setting (a variable's name follows from it), and
    its key in what ACP answers, where it has one."""

    flags: tuple[str, ...]
    setting: str
    answer: str = ""


DEV = Switch(("dev", "features.dev_mode"), "features.dev_mode", "dev_mode")
SWAGGER = Switch(("swagger", "features.swagger_ui"), "features.swagger_ui", "swagger_ui")
DEMO = Switch(("demo", "features.demo_app"), "features.demo_app", "demo_app")
TENANT = Switch(("create-default-tenant", "create_default_tenant"), "create_default_tenant")
WORKSPACES = Switch(
    ("create-default-workspaces", "create_default_workspaces"), "create_default_workspaces"
)


def _evidence(switch: Switch) -> str:
    told = f"; {switch.answer} in GET {ENVIRONMENT}" if switch.answer else ""
    return (
        f"--{switch.flags[0]} in command and args, {switch.setting} in every file of --config, "
        f"variable {doors.variable_of(switch.setting)}{told}"
    )


SOURCE = "vendor document, hardening, features to switch off"


@rule(
    "HARD-39",
    evidence=_evidence(DEV),
    passes="absent or false in every one of them",
    source=SOURCE,
    remedy="take --dev out of the container's args; features: {dev_mode: false}",
)
def development_mode(view: View) -> Judgement:
    return _off(view, DEV)


@rule(
    "HARD-40",
    evidence=_evidence(SWAGGER),
    passes="absent or false in every one of them",
    source=SOURCE,
    remedy="take --swagger out of the container's args; features: {swagger_ui: false}",
)
def api_browser(view: View) -> Judgement:
    return _off(view, SWAGGER)


@rule(
    "HARD-41",
    evidence=_evidence(DEMO),
    passes="absent or false in every one of them",
    source=SOURCE,
    remedy="take --demo out of the container's args; features: {demo_app: false}",
)
def demonstration(view: View) -> Judgement:
    return _off(view, DEMO)


@rule(
    "HARD-42",
    evidence=_evidence(TENANT),
    passes="absent or false in every one of them",
    source=SOURCE,
    remedy="take --create-default-tenant out of the container's args",
)
def default_tenant(view: View) -> Judgement:
    return _off(view, TENANT)


@rule(
    "HARD-43",
    evidence=_evidence(WORKSPACES),
    passes="absent or false in every one of them",
    source=SOURCE,
    remedy="take --create-default-workspaces out of the container's args",
)
def default_workspaces(view: View) -> Judgement:
    return _off(view, WORKSPACES)


def _off(view: View, switch: Switch) -> Judgement:
    parts: list[Part] = []
    for pods in [*view.acp, *view.jobs]:
        for container in containers(pods):
            parts += _doors_of(view, container, switch)
    if switch.answer:
        parts.append(partial(_answered, view, switch.answer))
    return joined(parts)


def _doors_of(view: View, container: Container, switch: Switch) -> list[Part]:
    """The doors one by one, so that a file which cannot be read hides no other."""
    return [
        partial(_by_flag, view, container, switch),
        *(partial(_by_file, view, container, path, switch)
          for path in doors.settings_files(view, container)),
        partial(_by_variable, view, container, switch),
        partial(legible, view, container),
    ]  # fmt: skip


def _by_flag(view: View, container: Container, switch: Switch) -> Judgement:
    found = [door for name in switch.flags for door in doors.flags(view, container, name)]
    return Judgement(
        findings=tuple(_finding(each, without(each)) for each in found if _on(each)),
        read=(f"{container.owner} container {container.name}",),
    )


def _by_file(view: View, container: Container, path: str, switch: Switch) -> Judgement:
    try:
        found = doors.file(view, container, path)
    except doors.Elsewhere:
        if switch.answer:
            raise
        found = None  # no file is known to have this switch, so a hidden one casts no doubt
    if found is None:
        return Judgement()
    wrong = [each for each in doors.from_file(found, switch.setting) if _on(each)]
    return Judgement(
        findings=tuple(_finding(each, nested(switch.setting, "false")) for each in wrong),
        read=(f"{found.object}[{found.key}]",),
    )


def _by_variable(view: View, container: Container, switch: Switch) -> Judgement:
    name = doors.variable_of(switch.setting)
    door = doors.variable(view, container, name)
    if door is None or not _on(door):
        return Judgement()
    return Judgement(findings=(_finding(door, f'{name}: "false"'),))


def legible(view: View, container: Container) -> Judgement:
    """No finding; Unreadable when a word of ACP that may be a flag is not seen."""
    if container in view.once(running_acp):
        doors.legible(view, container)
    return Judgement()


def _on(door: Door) -> bool:
    """Anything but a plain false: a word that one parser takes for no, another takes for yes."""
    if opened(door.value):
        raise Unreadable(f"{door.object} {door.field} is sealed, so its value is not known")
    return boolean(door.value) is not False


def _finding(door: Door, remedy: str) -> Finding:
    saw = doors.told(door.value)
    return Finding(object=door.object, field=door.field, saw=saw, want=WANT, remedy=remedy)


def _answered(view: View, key: str) -> Judgement:
    """What ACP says of itself; manifests alone can be judged without it."""
    if view.snapshot.source == "manifests":
        return Judgement()
    told = {path: body[key] for path, body in environments(view).items() if key in body}
    if not told:
        raise Unreadable(f"GET {ENVIRONMENT} does not tell {key}")
    remedy = "find the flag, file or variable that sets it, and restart ACP"
    findings = tuple(
        Finding(object=path, field=key, saw=doors.told(value), want="false", remedy=remedy)
        for path, value in told.items()
        if boolean(value) is not False
    )
    return Judgement(findings=findings, read=tuple(f"GET {path}" for path in told))


def environments(view: View) -> dict[str, Object]:
    """ACP's answers about how it was started, by path; Unreadable without any."""
    asked = [path for path in view.snapshot.answers if path.endswith(ENVIRONMENT)]
    found, why = {}, f"GET {ENVIRONMENT} was not asked"
    for path in asked:
        try:
            answer = view.answer(path)
        except Unreadable as reason:
            why = str(reason)
            continue
        if answer.status == 200 and isinstance(answer.body, dict):
            found[path] = answer.body
        else:
            why = f"GET {path} answered HTTP {answer.status}"
    if not found:
        raise Unreadable(why)
    return found


# remedies


def without(door: Door) -> str:
    """A JSON patch that takes a word of a command line away."""
    return f'[{{"op": "remove", "path": "{pointer(door.field)}"}}]'


def nested(path: str, value: Any) -> str:
    """A setting as YAML in one line: features: {dev_mode: false}."""
    first, *rest = path.split(".")
    text = str(value)
    for key in reversed(rest):
        text = f"{{{key}: {text}}}"
    return f"{first}: {text}"
