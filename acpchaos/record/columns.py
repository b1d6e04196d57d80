"""Requests column by column: an hour of 5,000 a second is 18 million, too many for objects.

Room: record. One order, whatever they were read from: by source, when they were due, their end,
their begin, then by name. It must not know files or how requests are judged.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from acpchaos.record.events import GRAIN_NS, Request

Numbers = npt.NDArray[Any]
NO_NUMBER = -1
_DIGITS = 9  # a longer number of a session stays part of its name


@dataclass(frozen=True)
class Names:
    """A column of few different words: `codes` index `words`, which are sorted."""

    codes: Numbers
    words: tuple[str, ...]

    def code(self, word: str) -> int:
        """Of a word; -1 where no row has it."""
        return self.words.index(word) if word in self.words else -1

    def taken(self, rows: Any) -> "Names":
        return Names(self.codes[rows], self.words)


@dataclass(frozen=True)
class Requests:
    """Arrays of one length. Moments are in units of `unit_ns`: `due` since 1970 (int64), `late`
    from due to begin, `took` from begin to end. A session is a name, and a number unless that is
    NO_NUMBER."""

    unit_ns: int
    due: Numbers
    late: Numbers
    took: Numbers
    source: Names
    flow: Names
    step: Names
    error: Names
    status: Numbers
    session: Names
    session_no: Numbers

    def __len__(self) -> int:
        return len(self.due)

    def taken(self, rows: Any) -> "Requests":
        """The rows that a slice, a mask or an index picks. Each column is picked when it is first
        asked for, most never; a slice copies nothing."""
        found = object.__new__(Requests)
        found.__dict__.update(unit_ns=self.unit_ns, _of=(self, rows))
        return found

    def __getattr__(self, name: str) -> Any:
        """A column that has not been picked yet."""
        if name.startswith("_") or name not in self.__dataclass_fields__:
            raise AttributeError(name)
        of, rows = self.__dict__["_of"]
        column = getattr(of, name)
        picked = column.taken(rows) if isinstance(column, Names) else column[rows]
        self.__dict__[name] = picked
        return picked

    def rows(self) -> list[Request]:
        """As events, in the same order."""
        unit = self.unit_ns
        columns = (
            self.due.tolist(), self.late.tolist(), self.took.tolist(), self.status.tolist(),
            self.source.codes.tolist(), self.flow.codes.tolist(), self.step.codes.tolist(),
            self.error.codes.tolist(), self.session.codes.tolist(), self.session_no.tolist(),
        )  # fmt: skip
        sources, flows, steps = self.source.words, self.flow.words, self.step.words
        errors, sessions = self.error.words, self.session.words
        return [
            Request(
                t_ns=(due + late + took) * unit, source=sources[source], flow=flows[flow],
                step=steps[step], intended_ns=due * unit, start_ns=(due + late) * unit,
                status=status, error=errors[error],
                session=sessions[session] + (str(number) if number != NO_NUMBER else ""),
            )
            for due, late, took, status, source, flow, step, error, session, number in zip(
                *columns, strict=True
            )
        ]  # fmt: skip


class Many(Sequence[Request]):
    """Requests of one source as a sequence, in the order they were due, then of their end. It makes
    an event only of what is looked at one by one; whoever counts asks the columns."""

    BLOCK = 10_000

    def __init__(self, columns: Requests) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns)

    @overload
    def __getitem__(self, at: int) -> Request: ...
    @overload
    def __getitem__(self, at: slice) -> "Many": ...
    def __getitem__(self, at: int | slice) -> "Request | Many":
        if isinstance(at, slice):
            return Many(self.columns.taken(at))
        at = range(len(self))[at]
        return self.columns.taken(slice(at, at + 1)).rows()[0]

    def __iter__(self) -> Iterator[Request]:
        for begin in range(0, len(self), self.BLOCK):
            yield from self.columns.taken(slice(begin, begin + self.BLOCK)).rows()

    def due_in(self, begin_ns: int, end_ns: int) -> "Many":
        """Those due from `begin_ns` up to but without `end_ns`; nothing is copied."""
        unit, due = self.columns.unit_ns, self.columns.due
        first, after = (np.searchsorted(due, -(-edge // unit)) for edge in (begin_ns, end_ns))
        return Many(self.columns.taken(slice(first, after)))

    def of_flow(self, flow: str) -> "Many":
        """Those of one flow."""
        return Many(self.columns.taken(self.columns.flow.codes == self.columns.flow.code(flow)))

    def moments_ns(self) -> tuple[Numbers, Numbers]:
        """(when each was sent, when it ended)."""
        sent = self.columns.due + self.columns.late
        return sent * self.columns.unit_ns, (sent + self.columns.took) * self.columns.unit_ns

    def failed(self) -> Numbers:
        """A mask: which have an error."""
        code = self.columns.error.code("")
        return self.columns.error.codes != code if code >= 0 else np.ones(len(self), dtype=bool)

    def with_error(self, error: str) -> Numbers:
        """A mask: which have this error."""
        code = self.columns.error.code(error)
        return self.columns.error.codes == code if code >= 0 else np.zeros(len(self), dtype=bool)


class Gathering:
    """Takes requests one by one, as compactly as arrays do."""

    def __init__(self) -> None:
        self._times = tuple(array("q") for _ in range(3))
        self._status, self._session_no = array("i"), array("i")
        self._codes = tuple(array("i") for _ in range(5))
        self._words: tuple[dict[str, int], ...] = tuple({} for _ in range(5))

    def __len__(self) -> int:
        return len(self._status)

    @property
    def end_ns(self) -> int:
        """The latest end; 0 without any."""
        return max(self._times[2], default=0)

    def add(self, request: Request) -> None:
        """One more, in any order."""
        due, start, end = self._times
        due.append(request.intended_ns)
        start.append(request.start_ns)
        end.append(request.t_ns)
        self._status.append(request.status)
        name, number = split(request.session)
        self._session_no.append(number)
        told = (request.source, request.flow, request.step, request.error, name)
        for word, codes, words in zip(told, self._codes, self._words, strict=True):
            codes.append(words.setdefault(word, len(words)))

    def done(self) -> Requests:
        """All of them, in the one order."""
        due, start, end = (np.frombuffer(each, dtype=np.int64) for each in self._times)
        unit = GRAIN_NS if not any((each % GRAIN_NS).any() for each in (due, start, end)) else 1
        source, flow, step, error, session = (
            _sorted_names(codes, words)
            for codes, words in zip(self._codes, self._words, strict=True)
        )
        found = Requests(
            unit_ns=unit, due=due // unit, late=narrow((start - due) // unit),
            took=narrow((end - start) // unit), source=source, flow=flow, step=step, error=error,
            status=np.frombuffer(self._status, dtype=np.int32).astype(np.int32),
            session=session, session_no=np.frombuffer(self._session_no, dtype=np.int32),
        )  # fmt: skip
        keys = (session.codes, error.codes, step.codes, flow.codes, found.session_no)
        return found.taken(np.lexsort((found.status, *keys, start, end, due, source.codes)))


def gathered(requests: Iterable[Request]) -> Requests:
    """Requests as columns."""
    gathering = Gathering()
    for request in requests:
        gathering.add(request)
    return gathering.done()


def split(session: str) -> tuple[str, int]:
    """A session's name and the number it ends with: ("4711-", 17) of "4711-17"."""
    head, dash, tail = session.rpartition("-")
    whole = tail.isascii() and tail.isdigit() and len(tail) <= _DIGITS
    return (head + dash, int(tail)) if whole and str(int(tail)) == tail else (session, NO_NUMBER)


def narrow(values: Numbers) -> Numbers:
    """As int32 where all fit: at whole microseconds that is 35 minutes."""
    limit = 2**31 - 1
    fits = not len(values) or (values.min() >= -limit and values.max() <= limit)
    return values.astype(np.int32) if fits else values


def names(codes: Numbers, words: tuple[str, ...]) -> Names:
    """Codes in the smallest type for so many words."""
    return Names(codes.astype(np.min_scalar_type(max(len(words) - 1, 0))), words)


def _sorted_names(codes: "array[int]", words: dict[str, int]) -> Names:
    in_order = sorted(words)
    place = np.zeros(len(in_order), dtype=np.int64)
    for position, word in enumerate(in_order):
        place[words[word]] = position
    return names(place[np.frombuffer(codes, dtype=np.int32)], tuple(in_order))
