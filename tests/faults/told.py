"""What a session's journal tells, as plain lines."""

import json
from pathlib import Path
from typing import Any

from fake_api.server import FakeApi

from acpchaos.faults.session import Session


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def witnesses(session: Session) -> list[tuple[str, str]]:
    found = [each for each in events(session.journal.path) if each["kind"] == "witness"]
    return [(each["outcome"], each["saw"]) for each in found]


def verbs(session: Session) -> list[tuple[str, bool]]:
    found = [each for each in events(session.journal.path) if each["kind"] == "fault"]
    return [(each["verb"], each["ok"]) for each in found]


def cordoned(api: FakeApi) -> list[str]:
    with api.store.lock:
        nodes = api.store.items("nodes", "", "", "")
        return [node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")]


def undo_records(api: FakeApi) -> list[str]:
    with api.store.lock:
        return [key[2] for key in api.store.objects if key[0] == "configmaps"]
