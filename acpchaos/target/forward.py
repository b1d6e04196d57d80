"""One connection to a port of a pod, through the API server: bytes out, bytes in.

Room: target. The client's own port forward runs a thread per connection, which tells its errors to
the terminal only; here the caller reads, with a timeout. It must not know what is spoken.
"""

from types import TracebackType

from kubernetes.client import ApiException
from kubernetes.stream.ws_client import create_websocket, get_websocket_url
from websocket import ABNF, WebSocketException

from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.kinds import path_of

DATA, ERROR = 0, 1  # channels of the first forwarded port


class Forward:
    """An open forward; ApiRefused tells what the cluster or the pod said instead."""

    def __init__(
        self, cluster: Cluster, namespace: str, pod: str, port: int, *, timeout_s: float
    ) -> None:
        self._attempted = f"connect to port {port} of pod {namespace}/{pod}"
        headers: dict[str, str] = {}
        client = cluster.client
        path = path_of("Pod", namespace, pod, "portforward")
        client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        known = {key.lower(): value for key, value in headers.items()}
        url = get_websocket_url(client.configuration.host + path, [("ports", str(port))])
        try:
            self._socket = create_websocket(client.configuration, url, known)
        except (WebSocketException, ApiException, OSError) as error:
            status = getattr(error, "status_code", 0) or 0
            raise ApiRefused(self._attempted, status, str(error)) from None
        self._socket.settimeout(timeout_s)
        self._begun: set[int] = set()

    def send(self, data: bytes) -> None:
        """Send bytes to the pod."""
        try:
            self._socket.send_binary(bytes([DATA]) + data)
        except (WebSocketException, OSError) as error:
            raise ApiRefused(self._attempted, 0, str(error)) from None

    def receive(self) -> bytes:
        """The next bytes from the pod; empty when it hung up."""
        while True:
            try:
                opcode, frame = self._socket.recv_data()
            except (WebSocketException, OSError) as error:
                raise ApiRefused(self._attempted, 0, str(error)) from None
            if opcode == ABNF.OPCODE_CLOSE or not frame:
                return b""
            channel, data = frame[0], frame[1:]
            if channel not in self._begun:  # each channel begins by naming its port
                self._begun.add(channel)
            elif channel == ERROR:
                raise ApiRefused(self._attempted, 0, data.decode("utf-8", "replace"))
            elif data:
                return bytes(data)

    def __enter__(self) -> "Forward":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._socket.shutdown()
