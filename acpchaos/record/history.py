"""history.parquet: the sealed requests of a run, delta-coded, and what their journals were.

Room: record. A sealed journal's requests are here and nowhere else; its other events lie beside, in
<writer>.rest.ndjson. Both are read back as if the journal were still there. Any Parquet reader
reads the table; moments are in whole microseconds, or in nanoseconds where a record is finer.

    due_us    when it was to begin, since 1970    late_us   how much later it began
    took_us   from begin to end                   session, session_no   "4711-" and 17, or -1
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from acpchaos.errors import UsageError
from acpchaos.record.columns import Names, Requests, names

FORMAT = 1
REST = ".rest.ndjson"
ROWS = 1 << 20  # of a row group; each holds its own words
# Neighbours are due soon after each other, so their distance is small. Delays have no neighbours:
# their bytes are laid out by place, and the upper ones, nearly all alike, then cost little.
_ENCODINGS = {"due": "DELTA_BINARY_PACKED", "late": "BYTE_STREAM_SPLIT",
              "took": "BYTE_STREAM_SPLIT", "session_no": "DELTA_BINARY_PACKED"}  # fmt: skip
_WORDS = ("source", "flow", "step", "error", "session")
_LEVEL = 15  # of zstd: 4.2 B a request for 0.9 us; 3 gives 4.4 B for 0.2, 19 nothing more
_UNITS = {1000: "us", 1: "ns"}


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """Kept in the file's metadata: `journals` are those whose requests it holds, with their size in
    bytes as they were sealed."""

    unit_ns: int
    journals: dict[str, int] = {}
    format: int = FORMAT


def write(path: Path, requests: Requests, journals: Mapping[str, int]) -> None:
    """Write the file in one step; when this returns a power cut no longer loses it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sealed = Sealed(unit_ns=requests.unit_ns, journals=dict(journals))
    unit = _UNITS[requests.unit_ns]
    columns = {
        f"due_{unit}": requests.due, f"late_{unit}": requests.late, f"took_{unit}": requests.took,
        "session_no": requests.session_no, "status": requests.status,
    }  # fmt: skip
    table = {name: pa.array(values) for name, values in columns.items()}
    for name in _WORDS:
        column: Names = getattr(requests, name)
        words = pa.array(column.words, pa.string())
        table[name] = pa.DictionaryArray.from_arrays(pa.array(column.codes), words)
    encodings = {
        name: _ENCODINGS[name.removesuffix(f"_{unit}")]
        for name in table
        if name.removesuffix(f"_{unit}") in _ENCODINGS
    }
    half = path.with_suffix(".tmp")
    with half.open("wb") as file:
        pq.write_table(
            pa.table(table, metadata={"acpchaos": msgspec.json.encode(sealed)}), file,
            compression="zstd", compression_level=_LEVEL, column_encoding=encodings,
            use_dictionary=[*_WORDS, "status"], row_group_size=ROWS,
        )  # fmt: skip
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def sealed(path: Path) -> Sealed | None:
    """What the file holds; None without one, or for one that is a mere copy of its journals, as
    older versions made it. UsageError when it cannot be read."""
    if not path.exists():
        return None
    metadata = _parquet(path).schema_arrow.metadata or {}
    if b"acpchaos" not in metadata:
        return None
    found = msgspec.json.decode(metadata[b"acpchaos"], type=Sealed)
    if found.format != FORMAT:
        seen = f"format {found.format}, this version reads {FORMAT}"
        raise UsageError(f"read {path}", seen, "check it with the version that made it")
    return found


def read(path: Path) -> Requests:
    """All its requests, of a file that `sealed` knows."""
    found = sealed(path)
    assert found is not None
    file, unit = _parquet(path, _WORDS), _UNITS[found.unit_ns]
    due, late, took = (_numbers(file, f"{name}_{unit}") for name in ("due", "late", "took"))
    source, flow, step, error, session = (_names(file, name) for name in _WORDS)
    return Requests(
        unit_ns=found.unit_ns, due=due, late=late, took=took, source=source, flow=flow, step=step,
        error=error, status=_numbers(file, "status"), session=session,
        session_no=_numbers(file, "session_no"),
    )  # fmt: skip


def rest_of(journal: Path) -> Path:
    """Where a sealed journal's other events lie."""
    return journal.with_name(journal.name.removesuffix(".ndjson") + REST)


def journals(events: Path, kept: Sealed | None) -> Iterator[Path]:
    """The files of a run that are to be read beside its history, in order of name: whatever a
    sealing that was killed left twice is left out once."""
    held = kept.journals if kept else {}
    for file in sorted(events.glob("*.ndjson")):
        of = file.name.removesuffix(REST) + ".ndjson"
        if file.name.endswith(REST) and of not in held:
            continue
        if held.get(file.name) != file.stat().st_size:
            yield file


def _parquet(path: Path, words: tuple[str, ...] = ()) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, read_dictionary=list(words))
    except (pa.ArrowInvalid, OSError) as error:
        next_step = "take the run folder from where it was archived"
        raise UsageError(f"read {path}", str(error), next_step) from error


def _numbers(file: Any, name: str) -> Any:
    column = file.read([name], use_threads=False).column(0)
    return column.to_numpy()


def _names(file: Any, name: str) -> Names:
    """Row groups have words of their own; here all rows share one sorted list."""
    chunks = file.read([name], use_threads=False).column(0).chunks
    words = tuple(sorted({word for chunk in chunks for word in chunk.dictionary.to_pylist()}))
    place = {word: position for position, word in enumerate(words)}
    parts = [
        np.array([place[word] for word in chunk.dictionary.to_pylist()], dtype=np.int64)[
            chunk.indices.to_numpy()
        ]
        for chunk in chunks
        if len(chunk)
    ]
    codes = np.concatenate([names(part, words).codes for part in parts]) if parts else np.zeros(0)
    return names(codes, words)
