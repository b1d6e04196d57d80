"""A rotated system secret: ACP itself turns the old one away, and takes it again afterwards."""

import base64
import json
from typing import Any

import pytest
import yaml
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.store import template_of
from fake_api.stores import Stores
from safety.rbac import missing, unused, used

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import client_secret, fields, witness_tokens
from acpchaos.faults.client_secret import SecretRotated, with_another
from acpchaos.faults.fault import Act
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Object
from acpchaos.target.oidc import Answer
from acpchaos.target.profile import Client
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import witnesses

KEY = ("secrets", NAMESPACE, "acp-secret")
OLD = "old-system-secret"
CONFIG = {"system": {"secret": OLD}, "secrets": [{"id": "a", "key": "b"}], "x": 1}
UPDATE = r"PUT /api/v1/namespaces/[^/]+/secrets/"
PATCH = r"PATCH /apis/apps/v1/namespaces/[^/]+/deployments/acp$"


class Acp:
    """Each pod knows the secret that lay in the Secret when it began; `away` answers nobody."""

    def __init__(self, api: FakeApi, patch: pytest.MonkeyPatch) -> None:
        self.api, self.away, self.asked = api, False, 0
        self.known: dict[str, str] = {}
        api.store.put("secrets", {"metadata": {"name": KEY[2], "namespace": NAMESPACE},
                                  "data": {"config.yaml": encoded(CONFIG)}})  # fmt: skip
        self.look()
        patch.setattr(witness_tokens, "Plain", lambda ca_file: self)

    def look(self) -> list[str]:
        """Names of ACP's pods, each of which has read its configuration once."""
        with self.api.store.lock:
            label = "app.kubernetes.io/name=acp"
            pods = self.api.store.items("pods", NAMESPACE, label, "")
            for pod in pods:
                self.known.setdefault(pod["metadata"]["uid"], self.secret())
            return [pod["metadata"]["uid"] for pod in pods]

    def secret(self) -> str:
        text = base64.b64decode(self.api.store.get(KEY)["data"]["config.yaml"])
        return str(yaml.safe_load(text)["system"]["secret"])

    def renew(self) -> None:
        """A new connection reaches the next pod."""
        self.asked += 1

    def __call__(self, step: str, method: str, url: str, **more: Any) -> Answer:
        if self.away:
            return Answer(0, error="refused")
        if step == "discovery":
            base = url.partition("/.well-known")[0]
            names = ("token", "authorization", "introspection", "revocation", "userinfo")
            found = {f"{name}_endpoint": f"{base}/{name}" for name in names}
            return Answer(200, body=json.dumps(found | {"issuer": base, "jwks_uri": base}).encode())
        if step != "token":
            return Answer(200)
        pods = self.look()
        sent = base64.b64decode(more["headers"]["Authorization"].split()[1]).decode()
        right = sent.endswith(f":{self.known[pods[self.asked % len(pods)]]}")
        return Answer(200, body=b'{"access_token": "t"}') if right else Answer(401)


def encoded(content: object) -> str:
    return base64.b64encode(yaml.safe_dump(content).encode()).decode()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    hasten(monkeypatch, client_secret, most_s=20.0 if "unspoiled" in request.node.name else 1.0)


@pytest.fixture
def acp(api: FakeApi, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Acp:
    monkeypatch.setenv("SYSTEM_SECRET", OLD)
    return Acp(api, monkeypatch)


def build(session: Session, config: str = "acp-secret/config.yaml") -> SecretRotated:
    own = allowing_all(session)
    rotated = own.profile.rotated.model_copy(update={"config": config})
    system = Client(id="system", secret="env:SYSTEM_SECRET")
    credentials = own.profile.credentials.model_copy(update={"system": system})
    profile = own.profile.model_copy(update={"rotated": rotated, "credentials": credentials})
    return SecretRotated(
        Session(profile, own.cluster, own.run_id, own.journal, own.clock, own.undo), 20.0, 20.0
    )


def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, session: Session, acp: Acp
) -> None:
    before = json.loads(json.dumps(api.store.get(KEY)["data"]))
    template = template_of(api.store.get(("deployments", NAMESPACE, "acp")))
    fault = build(session)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(session)
    meanwhile = yaml.safe_load(base64.b64decode(api.store.get(KEY)["data"]["config.yaml"]))
    assert meanwhile["secrets"] == CONFIG["secrets"] and meanwhile["system"]["secret"] != OLD
    told = session.journal.path.read_text() + json.dumps(api.store.get(
        ("configmaps", NAMESPACE, "acpchaos-undo-run-1")))  # fmt: skip
    assert OLD not in told and meanwhile["system"]["secret"] not in told
    act.heal()
    after = api.store.get(KEY)
    assert after["data"] == before and not after["metadata"].get("annotations")
    found = api.store.get(("deployments", NAMESPACE, "acp"))
    assert fields.value_at(found, fields.RESTARTED_AT) is None
    assert json.loads(template)["spec"] == found["spec"]["template"]["spec"]
    called, granted = used(api), of_fault(fault)
    profile = fault.session.profile
    assert missing(granted | of_play(profile) | of_undo(profile), called) == []
    assert unused(granted, called) == []


@pytest.mark.parametrize(
    "sabotage", ["swallowed", "forbidden", "no restart", "one pod", "changed meanwhile"]
)
def test_sabotaged_is_never_installed(
    api: FakeApi, session: Session, acp: Acp, sabotage: str
) -> None:
    fault = build(session)

    def spoil() -> None:
        if sabotage == "swallowed":
            api.store.swallowed = [UPDATE]
        elif sabotage == "forbidden":
            api.store.forbidden = [UPDATE]
        elif sabotage == "no restart":
            api.store.swallowed = [PATCH]
        elif sabotage == "one pod":  # only one is replaced
            api.store.swallowed = [PATCH]
            real = fault.inject

            def inject() -> None:
                real()
                label = "app.kubernetes.io/name=acp"
                first = api.store.items("pods", NAMESPACE, label, "")[0]
                api.store.drop(("pods", NAMESPACE, first["metadata"]["name"]))

            fault.inject = inject  # type: ignore[method-assign]
        else:
            api.store.put("secrets", {**api.store.get(KEY)})

    def heal() -> None:
        api.store.swallowed = api.store.forbidden = []

    outcomes = struck(fault, spoil, heal)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(session)
    assert session.undo.outstanding() == {} and acp.secret() == OLD


def test_acp_that_does_not_answer_proves_nothing(session: Session, acp: Acp) -> None:
    outcomes = struck(build(session), lambda: setattr(acp, "away", True), lambda: None)
    assert outcomes == ["indeterminate"], witnesses(session)


def test_secret_that_acp_does_not_take_before_is_refused(
    session: Session, acp: Acp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEM_SECRET", "wrong")
    with pytest.raises(PreconditionUnmet, match="6 of 6 requests"):
        Act(build(session)).strike()
    assert acp.secret() == OLD


def test_what_keeps_it_from_applying_is_told(session: Session, acp: Acp) -> None:
    assert "[rotated] config" in build(session, "").available()
    assert "no Secret acp-system/other" in build(session, "other/x").available()
    assert build(session).available() == ""


@pytest.mark.parametrize(
    "content", [{"x": 1}, [1], "text: [", {"system": "x"}, {"system": {"secret": ""}}]
)
def test_file_without_a_system_secret_is_refused_and_not_quoted(content: object) -> None:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    data = {"c": base64.b64encode(text.encode()).decode()}
    secret: Object = {"metadata": {"name": "s"}, "data": data}
    with pytest.raises(PreconditionUnmet, match="no YAML with system"):
        with_another(secret, "c")
