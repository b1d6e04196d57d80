"""One cluster, as plain JSON: read, change, evict, delete exactly this object, watch, run inside.

Room: target. Every call has a timeout; every change can name the UID it means. Built on the
official client's connection (credentials, TLS, proxies), not its models. It must not know faults.
Whatever may change something is told to a hook before it is sent, and how it ended after.
"""

import base64
import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, Self
from urllib.parse import quote

import urllib3
from kubernetes.client import ApiClient, ApiException

from acpchaos.errors import AcpchaosError
from acpchaos.target import access
from acpchaos.target.kinds import find_kind, path_of
from acpchaos.target.profile import Profile

Object = dict[str, Any]
CALL_TIMEOUT_S = 15.0  # single-object calls answer within 1 s by the scalability targets
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiRefused(AcpchaosError):
    """The API server answered with an error. `status` is the HTTP status; 0 is no answer."""

    def __init__(self, attempted: str, status: int, message: str, next_step: str = "") -> None:
        hint = next_step or _HINTS.get(status, "see the API server's message")
        super().__init__(attempted, f"HTTP {status}: {message}" if status else message, hint)
        self.status, self.message = status, message


_HINTS = {
    0: "check that the API server is reachable from here",
    401: "renew the credentials in the kubeconfig",
    403: "grant this verb to the account in the kubeconfig",
    404: "check name and namespace",
    409: "someone else changed or holds it; look at it and try again",
    410: "list again: the resource version is too old",
    429: "wait for the disruption budget named in the message",
}


class Hook(Protocol):
    """Told of every call that may change something. Safe to share between threads."""

    def before(self, method: str, path: str, body: object) -> str:
        """Called before sending; what it raises keeps the call from being made. A command in a pod
        has the method EXEC. Returns what `after` is to be given."""

    def after(self, entry: str, status: int, said: str) -> None:
        """How the call ended: an HTTP status, or 0 where no answer came."""

    def lenient(self) -> "Hook":
        """The same for the way back, which is taken even where it cannot be told."""


class Cluster:
    """Access to one cluster. Safe to share between threads."""

    profile: Profile | None = None  # of the target, where it was connected with one

    def __init__(self, client: ApiClient, hook: Hook | None = None) -> None:
        self.client, self.hook = client, hook
        self.api_host: str = urllib3.util.parse_url(client.configuration.host).netloc or ""

    @classmethod
    def from_profile(cls, profile: Profile, hook: Hook | None = None) -> Self:
        """Connect with the profile's explicit context; nothing is called yet."""
        cluster = cls(access.open_client(profile), hook)
        cluster.profile = profile
        return cluster

    def hooked(self, hook: Hook | None) -> Self:
        """The same cluster with another hook."""
        other = copy.copy(self)
        other.hook = hook
        return other

    def healing(self) -> Self:
        """The same cluster for the way back: a hook that fails keeps nothing from being undone."""
        return self.hooked(self.hook.lenient() if self.hook else None)

    def instead(self, method: str, path: str, body: object) -> bytes | None:
        """The answer to a change that is not to be sent, for rehearsals; None sends it."""
        return None

    @contextmanager
    def telling(self, method: str, path: str, body: object) -> Iterator[None]:
        """Around a call that may change something: the hook hears of it before and after."""
        if self.hook is None:
            yield
            return
        entry = self.hook.before(method, path, body)
        try:
            yield
        except ApiRefused as error:
            self.hook.after(entry, error.status, error.message)
            raise
        except BaseException as error:
            self.hook.after(entry, 0, type(error).__name__)
            raise
        self.hook.after(entry, 200, "")

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> bytes:
        """One request; the raw answer, or ApiRefused."""
        if method != "GET" and (answer := self.instead(method, path, body)) is not None:
            return answer
        response = self.open(method, path, query, body, content_type, timeout_s)
        try:
            data: bytes = response.read()
            return data
        except urllib3.exceptions.HTTPError as error:
            raise ApiRefused(f"{method} {path}", 0, str(error)) from None
        finally:
            response.release_conn()

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return the unread answer, its status already checked."""
        if method == "GET":
            return self._send(method, path, query, body, content_type, timeout_s)
        with self.telling(method, path, body):
            return self._send(method, path, query, body, content_type, timeout_s)

    def _send(
        self, method: str, path: str, query: Mapping[str, object] | None, body: object,
        content_type: str, timeout_s: float,
    ) -> urllib3.BaseHTTPResponse:  # fmt: skip
        headers = {"Accept": "application/json", "Content-Type": content_type}
        pairs = [(key, str(value)) for key, value in (query or {}).items()]
        attempted = f"{method} {path}"
        try:
            sent = self.client.param_serialize(
                method, path, query_params=pairs, header_params=headers, body=body,
                auth_settings=["BearerToken"],
            )  # fmt: skip
            answer = self.client.call_api(*sent, _request_timeout=(timeout_s, timeout_s))
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiRefused(attempted, 0, str(getattr(error, "reason", error))) from None
        response: urllib3.BaseHTTPResponse = answer.response
        if response.status >= 400:
            raise ApiRefused(attempted, response.status, _message(response))
        return response

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """One object; ApiRefused with status 404 when absent."""
        return _object(self.call("GET", path_of(kind, namespace, name)))

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """One object, or None when absent."""
        try:
            return self.get(kind, name, namespace)
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    def list(
        self, kind: str, namespace: str = "", selector: str = "", fields: str = ""
    ) -> list[Object]:
        """Objects of a kind; an empty namespace means all. Items carry no kind of their own."""
        query = {"labelSelector": selector, "fieldSelector": fields}
        query = {key: value for key, value in query.items() if value}
        answer = _object(self.call("GET", path_of(kind, namespace), query=query, timeout_s=60))
        return list(answer.get("items") or [])

    def create(self, kind: str, body: Object, namespace: str = "") -> Object:
        """Create; ApiRefused with status 409 when it exists."""
        return _object(self.call("POST", path_of(kind, namespace), body=body))

    def replace(self, kind: str, body: Object, namespace: str = "") -> Object:
        """Replace; the resourceVersion in `body` makes it fail with 409 when it changed."""
        name = body["metadata"]["name"]
        return _object(self.call("PUT", path_of(kind, namespace, name), body=body))

    def patch(
        self, kind: str, name: str, body: Object, namespace: str = "", *, sub: str = ""
    ) -> Object:
        """JSON merge patch. A `metadata.uid` in `body` makes it fail on another object."""
        path = path_of(kind, namespace, name, sub)
        return _object(self.call("PATCH", path, body=body, content_type=MERGE))

    def apply(self, manifest: Object, namespace: str = "") -> Object:
        """Server-side apply of one manifest under the field manager acpchaos."""
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], meta.get("namespace") or namespace, meta["name"])
        query = {"fieldManager": "acpchaos", "force": "true"}
        sent = self.call("PATCH", path, query=query, body=manifest, content_type=APPLY)
        return _object(sent)

    def delete(
        self, kind: str, name: str, namespace: str = "", *, uid: str = "", version: str = "",
        grace_s: int | None = None, propagation: str = "Background",
    ) -> bool:  # fmt: skip
        """Delete, only if its UID is `uid` and its resourceVersion `version` where these are given.
        False when it was already absent."""
        body: Object = {"propagationPolicy": propagation}
        wanted = {"uid": uid, "resourceVersion": version}
        if preconditions := {key: value for key, value in wanted.items() if value}:
            body["preconditions"] = preconditions
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        try:
            self.call("DELETE", path_of(kind, namespace, name), body=body)
        except ApiRefused as error:
            if error.status == 404:
                return False
            raise
        return True

    def evict(self, name: str, namespace: str, *, uid: str) -> None:
        """Ask for eviction of exactly this pod; 429 when a disruption budget forbids it now."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        self.call("POST", path_of("Pod", namespace, name, "eviction"), body=body)

    def lines(self, path: str, query: Mapping[str, object], read_s: float) -> Iterator[bytes]:
        """Lines of a streaming answer as they arrive; ends when the server ends it."""
        response = self.open("GET", path, query, timeout_s=read_s)
        try:
            rest = b""
            for chunk in response.stream(65536, decode_content=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line for line in whole if line)
        except urllib3.exceptions.HTTPError as error:
            raise ApiRefused(f"GET {path}", 0, str(error)) from None
        finally:
            response.close()

    def service(
        self, namespace: str, name: str, port: int | str, path: str, *, scheme: str = "http",
        query: Mapping[str, object] | None = None, timeout_s: float = CALL_TIMEOUT_S,
    ) -> bytes:  # fmt: skip
        """GET through the API server's service proxy."""
        target = quote(f"{scheme}:{name}:{port}", safe=":")
        base = f"{path_of('Service', namespace, target)}/proxy/{path.lstrip('/')}"
        return self.call("GET", base, query=query, timeout_s=timeout_s)

    def read_secret(self, namespace: str, name: str, key: str) -> str:
        """One value of a Secret, for target.profile.resolve."""
        data = self.get("Secret", name, namespace).get("data") or {}
        if key not in data:
            raise ApiRefused(f"read key {key} of Secret {namespace}/{name}", 404, "no such key")
        return base64.b64decode(data[key]).decode("utf-8")

    def may(
        self, verb: str, kind: str, namespace: str = "", sub: str = "", name: str = ""
    ) -> bool:  # fmt: skip
        """Whether the account may do this, by the API server's own review."""
        found = find_kind(kind)
        group = found.api.removeprefix("apis/").rsplit("/", 1)[0] if "apis/" in found.api else ""
        attributes = {
            "verb": verb, "group": group, "resource": found.plural, "subresource": sub,
            "namespace": namespace, "name": name,
        }  # fmt: skip
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        # a review changes nothing, so no hook hears of it, and a rehearsal asks it, too
        path = path_of("SelfSubjectAccessReview")
        response = self._send("POST", path, None, review, "application/json", CALL_TIMEOUT_S)
        try:
            answer = _object(response.read())
        except urllib3.exceptions.HTTPError as error:
            raise ApiRefused(f"POST {path}", 0, str(error)) from None
        finally:
            response.release_conn()
        return bool(answer.get("status", {}).get("allowed"))


def _object(data: bytes) -> Object:
    answer = json.loads(data or b"{}")
    return answer if isinstance(answer, dict) else {"value": answer}


def _message(response: urllib3.BaseHTTPResponse) -> str:
    """The Status message and its causes, e.g. which disruption budget refused an eviction."""
    try:
        text = response.read().decode("utf-8", "replace")
    except urllib3.exceptions.HTTPError as error:
        return str(error)
    finally:
        response.release_conn()
    try:
        status = json.loads(text)
        causes = (status.get("details") or {}).get("causes") or []
        detail = "; ".join(cause.get("message", "") for cause in causes)
        return f"{status.get('message', '')}{f' ({detail})' if detail else ''}"
    except (ValueError, AttributeError):
        return text[:300]
