"""Commands inside a container, over the exec WebSocket: one answer, or lines as they come.

Room: target. The client's own `stream` helper swaps a method of a shared object while it runs,
which breaks other threads; so the socket is opened here. Commands and their input are not logged.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml
from kubernetes.client import ApiException
from kubernetes.stream.ws_client import (
    ERROR_CHANNEL,
    STDERR_CHANNEL,
    STDIN_CHANNEL,
    STDOUT_CHANNEL,
    WSClient,
    get_websocket_url,
)
from websocket import WebSocketException

from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.kinds import path_of


@dataclass(frozen=True)
class Executed:
    """What a command said and how it ended; `code` is -1 when its end was not told."""

    stdout: str
    stderr: str
    code: int


def execute(
    cluster: Cluster, namespace: str, pod: str, container: str, argv: Sequence[str],
    *, timeout_s: float = 30.0, stdin: str = "", reads: bool = False,
) -> Executed:  # fmt: skip
    """Run `argv` in a container and wait for its end; ApiRefused when it could not or took longer.

    With `reads` the caller vouches that the command changes nothing; all others are told to the
    cluster's hook. Input needs a server with the v5 exec protocol (Kubernetes 1.30), which can
    close stdin.
    """
    if reads:
        return _execute(cluster, namespace, pod, container, argv, timeout_s, stdin)
    path = path_of("Pod", namespace, pod, "exec")
    command = {"container": container, "command": list(argv)}  # input may be a secret
    if cluster.instead("EXEC", path, command) is not None:
        return Executed("", "", 0)
    with cluster.telling("EXEC", path, command):
        return _execute(cluster, namespace, pod, container, argv, timeout_s, stdin)


def _execute(
    cluster: Cluster, namespace: str, pod: str, container: str, argv: Sequence[str],
    timeout_s: float, stdin: str,
) -> Executed:  # fmt: skip
    due_s = time.monotonic() + timeout_s
    socket = _open(cluster, namespace, pod, container, argv, stdin=bool(stdin))
    texts = {STDOUT_CHANNEL: "", STDERR_CHANNEL: "", ERROR_CHANNEL: ""}
    try:
        if stdin:
            socket.write_channel(STDIN_CHANNEL, stdin)
            socket.close_channel(STDIN_CHANNEL)
        while socket.is_open():
            if (left_s := due_s - time.monotonic()) <= 0:
                raise ApiRefused(
                    f"run {argv[0]} in {namespace}/{pod}", 0, f"no end within {timeout_s:g} s",
                    "give it more time, or look at the pod",
                )  # fmt: skip
            socket.update(timeout=min(left_s, 5.0))
            for channel in texts:
                texts[channel] += socket._channels.pop(channel, "")
    except (WebSocketException, OSError) as error:
        raise ApiRefused(f"run {argv[0]} in {namespace}/{pod}", 0, str(error)) from None
    finally:
        socket.close()
    return Executed(texts[STDOUT_CHANNEL], texts[STDERR_CHANNEL], _code(texts[ERROR_CHANNEL]))


def execute_lines(
    cluster: Cluster, namespace: str, pod: str, container: str, argv: Sequence[str],
    stop: threading.Event,
) -> Iterator[str]:  # fmt: skip
    """Output lines of a long-running command until it ends or `stop` is set. It must only look."""
    socket = _open(cluster, namespace, pod, container, argv, stdin=False)
    rest = ""
    try:
        while socket.is_open() and not stop.is_set():
            socket.update(timeout=0.5)
            rest += socket._channels.pop(STDOUT_CHANNEL, "")
            *whole, rest = rest.split("\n")
            yield from whole
    except (WebSocketException, OSError) as error:
        raise ApiRefused(f"follow {argv[0]} in {namespace}/{pod}", 0, str(error)) from None
    finally:
        socket.close()


def _open(
    cluster: Cluster, namespace: str, pod: str, container: str, argv: Sequence[str], *, stdin: bool
) -> WSClient:
    query = [("container", container), ("command", list(argv)), ("stdout", "true")]
    query += [("stderr", "true"), ("stdin", "true" if stdin else "false")]
    headers: dict[str, str] = {}
    client = cluster.client
    path = path_of("Pod", namespace, pod, "exec")
    client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
    known = {key.lower(): value for key, value in headers.items()}
    url = get_websocket_url(client.configuration.host + path, query)
    try:
        return WSClient(client.configuration, url, known, capture_all=False)
    except (WebSocketException, ApiException, OSError) as error:
        status = getattr(error, "status_code", 0) or 0
        raise ApiRefused(f"open a command in {namespace}/{pod}", status, str(error)) from None


def _code(status: str) -> int:
    if not status:
        return -1
    end = yaml.safe_load(status)
    if end.get("status") == "Success":
        return 0
    for cause in (end.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return int(cause["message"])
    return -1
