"""The restore drill: one backup into a fresh database in a namespace of its own, ACP started on it.

Room: stores. It tells what happened; a restore that fails is an answer, not an error, since with a
wrong passphrase it has to fail. `Drill.clean_up` deletes the namespace, which is all there is.
"""

import time
from dataclasses import dataclass

import msgspec
import yaml

from acpchaos.errors import DeadlinePassed
from acpchaos.stores import postgres, restore_objects
from acpchaos.stores.exec import CommandFailed, Exec, inside
from acpchaos.stores.postgres import Fingerprint
from acpchaos.stores.restore_objects import Edit, Object
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually

DATABASE = "postgresql"
GONE_S = 120.0
WRONG = "0" * 32  # never a generated secret
# pgBackRest's exit codes for content it cannot make sense of: invalid file, format, backup set,
# crypto, JSON. All others (store away, 49; ended by a signal, 63) say nothing about the content.
_UNREADABLE = frozenset({28, 29, 75, 95, 99})
_ENDED_FROM_OUTSIDE = frozenset({0, 130, 137, 143})  # told to end, killed, out of memory


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """How a restore ended. `restored` is False only when the content was refused.

    It is None when there was no answer: not in time, no store, or ended by somebody else.
    """

    restored: bool | None
    saw: str
    took_s: float


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What the drill's ACP answered. `served` is None when it gave no answer to judge."""

    served: bool | None
    saw: str


@dataclass(frozen=True)
class Drill:
    """One namespace with one restored database; `tag` tells several of one run apart."""

    cluster: Cluster
    profile: Profile
    run_id: str
    tag: str = ""

    @property
    def namespace(self) -> str:
        """Where everything of the drill lives."""
        name = f"acpchaos-restore-{self.run_id}".lower()[: 63 - len(self.tag) - 1]
        return f"{name}-{self.tag}" if self.tag else name.rstrip("-")

    def begin(self) -> None:
        """Make the namespace; left-overs of the same name are an error of the API server (409)."""
        body = restore_objects.namespace_object(self.namespace, self.run_id)
        self.cluster.create("Namespace", body)

    def restore(
        self, repo: int, label: str, budget_s: float, *, wrong_cipher: bool = False
    ) -> Restored:
        """Restore backup `label` from repository `repo` and serve it as host `postgresql`."""
        sql = self.profile.workloads.sql
        live = self.cluster.get("StatefulSet", sql.name, self._source)
        pod = restore_objects.database_pod(
            live, sql.container, self.namespace, DATABASE, repo, label
        )
        self._copy(pod["spec"], _with_cipher(repo) if wrong_cipher else _as_is)
        self.cluster.create("Service", self._service(DATABASE, 5432), self.namespace)
        self.cluster.create("Pod", pod, self.namespace)
        return self._watch_restore(budget_s)

    def _watch_restore(self, budget_s: float) -> Restored:
        begin_s = time.monotonic()

        def ended() -> Restored | None:
            status = self.cluster.get("Pod", DATABASE, self.namespace).get("status") or {}
            took_s = time.monotonic() - begin_s
            if status.get("phase") == "Failed":
                refused, saw = _failure(status)
                return Restored(restored=False if refused else None, saw=saw, took_s=took_s)
            ready = all(c.get("ready") for c in status.get("containerStatuses") or [{}])
            if ready:
                return Restored(restored=True, saw="the database serves", took_s=took_s)
            return None

        try:
            return eventually("the restored database", ended, budget_s, 1.0)
        except DeadlinePassed as error:
            return Restored(restored=None, saw=error.seen, took_s=budget_s)

    def fingerprints(self, database: str = "acp") -> dict[str, Fingerprint]:
        """Content of the restored database."""
        container = self.profile.workloads.sql.container
        return postgres.fingerprints(self._exec, DATABASE, container, database)

    def start_acp(self, budget_s: float, *, wrong_key: bool = False) -> str:
        """Start a copy of the live ACP on the restored database; "" when it is ready, else why not.

        Called again it replaces the former copy. With `wrong_key` every entry of the configured
        encryption keys is another one.
        """
        redis = self.profile.workloads.redis
        if self.cluster.find("Pod", restore_objects.REDIS, self.namespace) is None:
            self._start_redis(redis.name, redis.container)
        acp = self.profile.workloads.acp
        live = self.cluster.get("Deployment", acp.name, self._source)
        deployment = restore_objects.acp_deployment(live, self.namespace)
        home = restore_objects.at_home(self._source)
        edit: Edit = (lambda key, text: _other_keys(key, home(key, text))) if wrong_key else home
        self._replace_acp(deployment, edit)
        return self._watch_acp(budget_s)

    def _start_redis(self, name: str, container: str) -> None:
        live = self.cluster.get("StatefulSet", name, self._source)
        pod = restore_objects.redis_pod(live, container, self.namespace)
        self._copy(pod["spec"], _as_is)
        for service in (name, f"{name}-headless"):
            body = self._service(restore_objects.REDIS, 6379)
            body["metadata"]["name"] = service
            self.cluster.create("Service", body, self.namespace)
        self.cluster.create("Pod", pod, self.namespace)

    def _replace_acp(self, deployment: Object, edit: Edit) -> None:
        if self.cluster.delete("Deployment", "acp", self.namespace, propagation="Foreground"):
            eventually("the former ACP of the drill to be gone", self._acp_is_gone, GONE_S)
        self._copy(deployment["spec"]["template"]["spec"], edit)
        if self.cluster.find("Service", "acp", self.namespace) is None:
            self.cluster.create("Service", self._service("acp", 8443), self.namespace)
        self.cluster.create("Deployment", deployment, self.namespace)

    def _acp_is_gone(self) -> bool:
        """The Deployment outlives its pods for a moment, and another may not be made until then."""
        return (
            not self.cluster.list("Pod", self.namespace, "drill=acp")
            and self.cluster.find("Deployment", "acp", self.namespace) is None
        )

    def _watch_acp(self, budget_s: float) -> str:
        """Ready, or crashed for good: three starts that ended are no slow start."""

        def ended() -> str | None:
            for pod in self.cluster.list("Pod", self.namespace, "drill=acp"):
                for each in (pod.get("status") or {}).get("containerStatuses") or []:
                    if each.get("ready"):
                        return "ready"
                    if each.get("restartCount", 0) >= 2 and _gave_up(each):
                        return f"it does not start: {_last_words(each)}"
            return None

        try:
            found = eventually("the ACP of the drill", ended, budget_s, 1.0)
        except DeadlinePassed as error:
            return f"not ready in time: {error.seen}"
        return "" if found == "ready" else found

    def ask_token(self, client_id: str, secret: str, *, attempts_s: float = 30.0) -> Served:
        """Ask the drill's ACP for a token as this client, from inside the namespace."""
        url = f"https://acp:8443{self.profile.service.issuers['jwt']}/oauth2/token"
        command = (
            "curl", "-sS", "--max-time", "15", "--cacert", "/tls/ca.crt", "-w", "\\n%{http_code}",
            "-K", "-", url,
        )  # fmt: skip
        form = f'user = "{client_id}:{secret}"\ndata = "grant_type=client_credentials"\n'

        last = [Served(served=None, saw="it cannot be reached")]

        def asked() -> Served | None:
            container = self.profile.workloads.sql.container
            try:
                said = self._exec(DATABASE, container, command, form.encode())
            except CommandFailed as error:
                last[0] = Served(served=None, saw=error.seen)
                return None
            last[0] = answered(said)
            # a 5xx may pass; it is the answer only when it stays
            return None if last[0].saw.startswith("HTTP 5") else last[0]

        try:
            return eventually("an answer of the drill's ACP", asked, attempts_s, 2.0)
        except DeadlinePassed:
            return last[0]

    def clean_up(self) -> None:
        """Delete the namespace and wait until it is gone; harmless when there is none."""
        self.cluster.delete("Namespace", self.namespace)
        eventually(
            f"namespace {self.namespace} to be gone",
            lambda: self.cluster.find("Namespace", self.namespace) is None,
            GONE_S,
            1.0,
        )

    @property
    def _source(self) -> str:
        return self.profile.namespaces.acp

    @property
    def _exec(self) -> Exec:
        return inside(self.cluster, self.namespace)

    def _service(self, name: str, port: int) -> Object:
        return restore_objects.service(name, self.namespace, port)

    def _copy(self, pod_spec: Object, edit: Edit) -> None:
        """Copy what the pod refers to; a copy that is already there is brought up to date."""
        for kind, name in sorted(restore_objects.references(pod_spec)):
            live = self.cluster.get(kind, name, self._source)
            self.cluster.apply(restore_objects.copied(kind, live, self.namespace, edit))


def answered(said: str) -> Served:
    """Read body and status of a token request, in curl's order."""
    body, _, status = said.rpartition("\n")
    if status == "200" and '"access_token"' in body:
        return Served(served=True, saw="HTTP 200 with a token")
    return Served(served=False, saw=f"HTTP {status} {_error_of(body)}".strip())


def _error_of(body: str) -> str:
    """The OAuth error code, never more of the body: it may hold a token."""
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    return str(told.get("error", "")) if isinstance(told, dict) else ""


def _as_is(_: str, text: str) -> str:
    return text


def _with_cipher(repo: int) -> Edit:
    return lambda key, text: WRONG if key == f"PGBACKREST_REPO{repo}_CIPHER_PASS" else text


def _other_keys(key: str, text: str) -> str:
    """Replace the keys of a configuration's `secrets` list; other files pass unchanged."""
    if not key.endswith((".yaml", ".yml")):
        return text
    content = yaml.safe_load(text)
    if not isinstance(content, dict) or not content.get("secrets"):
        return text
    content["secrets"] = [{**entry, "key": WRONG} for entry in content["secrets"]]
    return yaml.safe_dump(content)


def _failure(status: Object) -> tuple[bool, str]:
    """Whether a failed pod refused the content; exit code and last words of what failed in it."""
    for key in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(key) or []:
            ended = each.get("state", {}).get("terminated") or {}
            if code := ended.get("exitCode"):
                restoring = key == "initContainerStatuses"
                refused = code in _UNREADABLE if restoring else code not in _ENDED_FROM_OUTSIDE
                return refused, f"exit code {code}: {_plain(ended.get('message', ''))}"
    return False, str(status.get("reason") or status.get("message") or "the pod failed")


def _gave_up(status: Object) -> bool:
    """Whether the container ended by itself; one that a probe or the kernel ended did not."""
    ended = (status.get("lastState") or {}).get("terminated") or {}
    return ended.get("exitCode", 0) not in _ENDED_FROM_OUTSIDE


def _last_words(status: Object) -> str:
    ended = (status.get("lastState") or {}).get("terminated") or {}
    return f"exit code {ended.get('exitCode')}: {_plain(ended.get('message', ''))}"


def _plain(text: str) -> str:
    """The end of a log, one line, printable ASCII only: with a wrong key it is full of noise."""
    kept = "".join(char if " " <= char <= "~" else " " for char in text)
    return " ".join(kept.split())[-300:]
