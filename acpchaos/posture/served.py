"""Which certificates are served: by the ingress to clients, and by each pod of ACP to the ingress.

Room: posture. Only handshakes, never a request. A chain is kept although it does not verify; why it
does not is told beside it. Names in certificates are a rule's matter.
"""

import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from acpchaos.record.snapshot import Served
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.forward import Forward
from acpchaos.target.profile import Profile, Workload

HTTPS_PORT = 8443  # of ACP's pods
TIMEOUT_S = 5.0
AT_ONCE = 4


class Stream(Protocol):
    """Bytes out, bytes in; empty bytes are the end."""

    def send(self, data: bytes) -> None: ...

    def receive(self) -> bytes: ...


Dial = Callable[[], AbstractContextManager[Stream]]


class Place(NamedTuple):
    """Where to shake hands, under which name, and how to get there; no way: `error` says why."""

    where: str
    name: str
    dial: Dial | None
    error: str = ""


def served(cluster: Cluster, profile: Profile) -> tuple[list[Served], dict[str, str]]:
    """Certificates of the ingress and of every pod of ACP, and why places could not be found."""
    places, unread = [_ingress(profile)], {}
    for workload in (profile.workloads.acp, profile.workloads.workers):
        try:
            places += _pods(cluster, profile.namespaces.acp, workload)
        except ApiRefused as error:
            unread["served pod"] = error.seen
    ca_file = str(profile.service.ca_file or "")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda place: look(place, ca_file), places)), unread


def _ingress(profile: Profile) -> Place:
    url = urlsplit(profile.service.base_url)
    where = f"ingress {profile.service.base_url}"
    host, port = url.hostname or "", url.port or 443
    if url.scheme != "https":
        return Place(where, host, None, "base_url of the profile is not https")
    return Place(where, host, lambda: Tcp(host, port))


def _pods(cluster: Cluster, namespace: str, workload: Workload) -> list[Place]:
    """Each pod under the name of its Service, which the chart calls like the workload."""
    places = []
    for pod in cluster.list("Pod", namespace, workload.selector):
        name, phase = pod["metadata"]["name"], (pod.get("status") or {}).get("phase", "")
        where = f"pod {namespace}/{name}:{HTTPS_PORT}"
        asked = f"{workload.name}.{namespace}.svc"
        if phase != "Running" or pod["metadata"].get("deletionTimestamp"):
            places.append(Place(where, asked, None, f"the pod is {phase or 'unknown'}, or ends"))
        else:
            places.append(Place(where, asked, _forward(cluster, namespace, name)))
    return places


def _forward(cluster: Cluster, namespace: str, name: str) -> Dial:
    return lambda: Forward(cluster, namespace, name, HTTPS_PORT, timeout_s=TIMEOUT_S)


def look(place: Place, ca_file: str) -> Served:
    """The certificates of one place. A second handshake gets those that do not verify."""
    seen = Served(where=place.where, error=place.error)
    if place.dial is None:
        return seen
    try:
        try:
            chain, protocol = _shaken(place.dial, place.name, _verifying(ca_file))
            return msgspec.structs.replace(seen, chain=chain, protocol=protocol)
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message or str(error)
        chain, protocol = _shaken(place.dial, place.name, _seeing())
        return msgspec.structs.replace(seen, chain=chain, protocol=protocol, verified=why)
    except ApiRefused as error:
        return msgspec.structs.replace(seen, error=error.seen)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors; a name may be malformed
        return msgspec.structs.replace(seen, error=str(error) or type(error).__name__)


def _verifying(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    context.check_hostname = False
    # Python 3.13 refuses CA certificates that other clients take; every version shall say the same
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _seeing() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _shaken(dial: Dial, name: str, context: ssl.SSLContext) -> tuple[tuple[str, ...], str]:
    """(chain as PEM, protocol) after one handshake."""
    arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(arrived, leaving, server_hostname=name)
    with dial() as stream:
        try:
            _handshake(tls, stream, arrived, leaving)
            found = tuple(ssl.DER_cert_to_PEM_cert(each) for each in _chain(tls))
            with suppress(ssl.SSLError):
                tls.unwrap()  # says goodbye, so that the server logs no broken connection
            return found, tls.version() or ""
        finally:
            if rest := leaving.read():
                with suppress(OSError, ApiRefused):
                    stream.send(rest)


def _handshake(
    tls: ssl.SSLObject, stream: Stream, arrived: ssl.MemoryBIO, leaving: ssl.MemoryBIO
) -> None:
    while True:
        try:
            tls.do_handshake()
            return
        except ssl.SSLWantReadError:
            if data := leaving.read():
                stream.send(data)
            if not (got := stream.receive()):
                raise ConnectionResetError("hung up during the TLS handshake") from None
            arrived.write(got)


def _chain(tls: Any) -> list[bytes]:
    """DER of all that was sent. Python 3.12 has the chain below its public face; without it the
    leaf alone is told."""
    if hasattr(tls, "get_unverified_chain"):
        return [bytes(each) for each in tls.get_unverified_chain()]
    inner: Any = getattr(tls, "_sslobj", None)
    if hasattr(inner, "get_unverified_chain"):
        pems = [each.public_bytes() for each in inner.get_unverified_chain()]
        return [ssl.PEM_cert_to_DER_cert(pem) for pem in pems]
    leaf = tls.getpeercert(binary_form=True)
    return [leaf] if leaf else []


class Tcp:
    """A plain TCP connection as a Stream."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=TIMEOUT_S)

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self) -> bytes:
        return self._socket.recv(65536)

    def __enter__(self) -> "Tcp":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._socket.close()
