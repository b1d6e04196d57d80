"""The password of a Redis node changed for a while, and put back as the node's own pod knows it.

Room: stores. The one of before lies in the pod's environment and never leaves it; the other one
goes in by standard input. Neither stands in an argument list: printf is the shell's own. Nothing is
written to the node's files, so a node that starts anew has the one of before.
"""

from acpchaos.stores.exec import Exec

_COMMON = """set -u
old="${REDISCLI_AUTH:-${REDIS_PASSWORD:-}}"
quoted() { printf '%s' "$1" | sed 's/[\\\\"]/\\\\&/g'; }
ask() { REDISCLI_AUTH="$1" redis-cli --tls --insecure 2>/dev/null; }
both() { printf 'CONFIG SET masterauth "%s"\\nCONFIG SET requirepass "%s"\\n' "$1" "$1"; }
"""
_ROTATE = """IFS= read -r new
said=$({ both "$new"; echo "CLIENT KILL TYPE normal"; } | ask "$old")
case "$said" in OK*OK*) echo rotated ;; *) echo refused; exit 1 ;; esac
"""
_RESTORE = """IFS= read -r new
both "$(quoted "$old")" | ask "$new" | tr '\\n' ' '
"""
_KNOWN = """said=$(printf 'PING\\nCONFIG GET masterauth\\n' | ask "$old")
case "$said" in PONG*"$old") echo yes ;; *) echo no ;; esac
"""


def rotate(run: Exec, pod: str, container: str, password: str) -> None:
    """Give a node this password, of letters, digits, - and _, and hang up on its clients;
    CommandFailed when it refuses."""
    argv = ("sh", "-c", _COMMON + _ROTATE)
    run(pod, container, argv, f"{password}\n".encode(), timeout_s=15.0)


def restore(run: Exec, pod: str, container: str, password: str) -> None:
    """Give a node that has this password the one that its pod knows."""
    argv = ("sh", "-c", _COMMON + _RESTORE)
    run(pod, container, argv, f"{password}\n".encode(), timeout_s=15.0)


def restored(run: Exec, pod: str, container: str) -> bool:
    """Whether the node takes, and tells its master, the password that its pod knows."""
    return run(pod, container, ("sh", "-c", _COMMON + _KNOWN), timeout_s=15.0).strip() == "yes"
