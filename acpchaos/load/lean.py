"""A Locust user with the lean HTTP client: what FastHttpUser is, at a fraction of its cost.

Room: load. Locust's world only: locustfiles import it, after Locust itself; nothing else may. Each
request is one event of Locust, so statistics, CSV, the web page and distributed runs work as ever.
"""

import functools
import time
from collections.abc import Callable, Mapping

from locust import User
from locust.exception import CatchResponseError

from acpchaos.load.http1 import Client, Trust
from acpchaos.target.client_auth import trusting
from acpchaos.target.oidc import Answer


class LeanHttpUser(User):
    """`client` sends; `ask` sends, judges and tells Locust. The certificate is always verified."""

    abstract = True
    connection_timeout: float = 5.0
    """Seconds for connecting, TLS included."""
    network_timeout: float = 5.0
    """Seconds from sending to the whole answer."""

    def __init__(self, environment: object) -> None:
        super().__init__(environment)
        self.client = self.client_for(self.trusted())

    def trusted(self) -> Trust:
        """Whom to believe: by default the authorities that the system believes."""
        return _system()

    def client_for(self, trust: Trust) -> Client:
        """A client of this user under other authorities or with a certificate of its own."""
        return Client(trust, self.connection_timeout, self.network_timeout)

    def on_stop(self) -> None:
        """Idle connections are closed."""
        self.client.close()

    def ask(
        self, name: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None,
        judge: Callable[[Answer], str], client: Client | None = None,
    ) -> tuple[Answer, str]:  # fmt: skip
        """(answer, "" or why it is a failure), told to Locust under `name`."""
        start_s, begin_s = time.time(), time.perf_counter()
        answer = (client or self.client).request(method, url, headers, body)
        took_s = time.perf_counter() - begin_s
        error = judge(answer)
        self.environment.events.request.fire(
            request_type=method, name=name, response_time=took_s * 1000,
            response_length=len(answer.body), response=answer, context=self.context(),
            exception=CatchResponseError(error) if error else None, start_time=start_s, url=url,
        )  # fmt: skip
        return answer, error


@functools.cache
def _system() -> Trust:
    """One for all users, so that they share TLS sessions."""
    return Trust(trusting(""))
