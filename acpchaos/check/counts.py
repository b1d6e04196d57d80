"""Counts over requests, of a list or of millions in columns; both ways count alike.

Room: check. It measures only, and must not know what is counted for.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from acpchaos.record.columns import NO_NUMBER, Many
from acpchaos.record.events import Request

NEVER_SENT = "never_sent"


def failed(requests: Sequence[Request]) -> int:
    """How many have an error."""
    if isinstance(requests, Many):
        return int(requests.failed().sum())
    return sum(bool(request.error) for request in requests)


def unsent(requests: Sequence[Request]) -> int:
    """How many were due and never sent."""
    if isinstance(requests, Many):
        return int(requests.with_error(NEVER_SENT).sum())
    return sum(request.error == NEVER_SENT for request in requests)


def by_flow(requests: Sequence[Request]) -> dict[str, tuple[int, int]]:
    """(failed, all) by flow."""
    if isinstance(requests, Many):
        flow, bad = requests.columns.flow, requests.failed()
        of = np.bincount(flow.codes, minlength=len(flow.words)).tolist()
        lost = np.bincount(flow.codes[bad], minlength=len(flow.words)).tolist()
        return {word: (lost[n], of[n]) for n, word in enumerate(flow.words) if of[n]}
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for request in requests:
        counts[request.flow][0] += bool(request.error)
        counts[request.flow][1] += 1
    return {word: (bad, of) for word, (bad, of) in counts.items()}


def first_failed(requests: Sequence[Request], most: int) -> list[Request]:
    """The first failures, `most` at most."""
    if isinstance(requests, Many):
        return [requests[int(at)] for at in np.flatnonzero(requests.failed())[:most]]
    return [request for request in requests if request.error][:most]


def flows_begun(requests: Sequence[Request]) -> int:
    """Flows in a stretch: requests of one session and flow are its steps; without a session each
    request is a flow."""
    if isinstance(requests, Many):
        columns = requests.columns
        nameless = columns.session.code("")
        bare = (columns.session.codes == nameless) & (columns.session_no == NO_NUMBER)
        # one number for flow, name and number of a session: few names, and numbers of 31 bits
        key = columns.flow.codes.astype(np.int64) * len(columns.session.words)
        key += columns.session.codes
        key <<= 32
        key += columns.session_no - NO_NUMBER
        key = key[~bare]
        key.sort()
        different = int(np.count_nonzero(key[1:] != key[:-1])) + min(len(key), 1)
        return different + int(bare.sum())
    sessions = {(request.flow, request.session) for request in requests if request.session}
    return len(sessions) + sum(not request.session for request in requests)
