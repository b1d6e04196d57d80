"""A child that asks with the lean client in gevent's world, as Locust's process does.

Reads lines of JSON, [file of authorities, timeout in seconds, steps]; a step is [method, url,
headers, body or null] or a number of seconds to wait. Prints a line with the answers for each.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from acpchaos.load.http1 import Client, Trust  # noqa: E402
from acpchaos.target.client_auth import trusting  # noqa: E402


def main():
    for line in sys.stdin:
        ca_file, limit_s, steps = json.loads(line)
        client = Client(Trust(trusting(ca_file)), connect_s=limit_s, answer_s=limit_s)
        print(json.dumps([told(client, step) for step in steps if paused(step)]), flush=True)
        client.close()


def paused(step):
    """Whether it is a request; what is none is a pause, made here."""
    if isinstance(step, list):
        return True
    gevent.sleep(step)
    return False


def told(client, step):
    method, url, headers, body = step
    try:
        got = client.request(method, url, headers, None if body is None else body.encode())
    except ValueError as error:
        return [0, {}, "", f"ValueError: {error}"]
    return [got.status, dict(got.headers), got.body.decode("latin-1"), got.error]


main()
