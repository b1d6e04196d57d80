"""Takes the connections of a PostgreSQL server that ordinary clients may take, and keeps them.

Room: faults. Runs alone in a pod with the store's own image, by `python3 -c`, so it knows no other
module. Where and who is told by libpq's variables (PGHOST, PGUSER, PGPASSWORD, ...), MOST is how
many at most, HOLD_S for how long at most; the server itself keeps its reserved ones. It ends, and
with it all connections, when it is told to, when its time is over, and with its pod.
"""

import os
import signal
import sys
import time
from typing import Any

AGAIN_S = 0.5  # between two tries after a refusal


def held(driver: Any, most: int, due_s: float) -> int:
    """Take and keep until `due_s`; a connection that the server ended is taken again."""
    mine: list[Any] = []
    while time.monotonic() < due_s:
        mine = [each for each in mine if alive(each)] if len(mine) >= most else mine
        if len(mine) < most:
            try:
                mine.append(driver.connect("connect_timeout=5 keepalives_idle=10"))
                continue
            except driver.OperationalError as error:
                print(f"{len(mine)} taken: {str(error).strip()[-200:]}", flush=True)
        time.sleep(AGAIN_S)  # noqa: TID251  # this file runs without the rest of the project
    return len(mine)


def alive(connection: Any) -> bool:
    """Whether the server still answers on it."""
    try:
        connection.rollback()
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except Exception:
        return False
    return True


def main() -> int:
    """As many as the server gives."""
    try:
        import psycopg2 as driver  # type: ignore[import-untyped]
    except ImportError:
        import psycopg as driver
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    due_s = time.monotonic() + float(os.environ["HOLD_S"])
    print(f"{held(driver, int(os.environ['MOST']), due_s)} let go", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
