"""Backups by pgBackRest: make one in a place, list what lies there, read a piece without its key.

Room: stores. Commands run in the leader's container, which holds the repositories' secrets in its
environment; nothing secret comes back.
"""

from typing import Any

import msgspec

from acpchaos.stores.exec import CommandFailed, Exec

STANZA = "acp"
BACKUP_S = 900.0  # a full copy of a small store takes 10 s on an idle machine
SEALED = "Salted__"  # how OpenSSL begins what it encrypts with a passphrase
_SETTINGS = ("s3-endpoint", "s3-bucket", "cipher-type")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a repository lies, from the settings in use."""

    repo: int
    endpoint: str
    bucket: str
    cipher: str


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """One backup in one place. Times are Unix seconds, sizes bytes."""

    repo: int
    label: str
    type: str
    begin_s: int
    end_s: int
    size: int
    stored: int
    cipher: str
    status: str  # ok, or what is wrong with the repository or this backup


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """A stored object read without its key."""

    object: str
    readable: bool
    saw: str


def places(run: Exec, pod: str, container: str) -> tuple[Place, ...]:
    """The repositories of the settings; only lines without secrets are read."""
    wanted = "|".join(_SETTINGS)
    command = ("grep", "-E", f"^repo[0-9]+-({wanted})=", "/etc/pgbackrest/pgbackrest.conf")
    settings: dict[int, dict[str, str]] = {}
    for line in run(pod, container, command).splitlines():
        name, _, value = line.strip().partition("=")
        repo, _, key = name.removeprefix("repo").partition("-")
        settings.setdefault(int(repo), {})[key] = value
    return tuple(
        Place(
            repo=repo,
            endpoint=each.get("s3-endpoint", ""),
            bucket=each.get("s3-bucket", ""),
            cipher=each.get("cipher-type", "none"),
        )
        for repo, each in sorted(settings.items())
    )


def back_up(run: Exec, leader: str, container: str, repo: int) -> Backup:
    """Full backup to one repository; its facts as the repository tells them afterwards."""
    _pgbackrest(run, leader, container, repo, "--type=full", "backup", timeout_s=BACKUP_S)
    return max(
        (each for each in listed(run, leader, container) if each.repo == repo),
        key=lambda each: each.end_s,
    )


def listed(run: Exec, pod: str, container: str) -> tuple[Backup, ...]:
    """All backups in all repositories."""
    command = ("pgbackrest", f"--stanza={STANZA}", "--output=json", "info")
    return parse_info(run(pod, container, command, timeout_s=60.0))


def parse_info(text: str) -> tuple[Backup, ...]:
    """Read the output of `pgbackrest info --output=json` for one stanza."""
    stanzas: list[dict[str, Any]] = msgspec.json.decode(text)
    return tuple(
        _backup(entry, {repo["key"]: repo for repo in stanza.get("repo", ())})
        for stanza in stanzas
        for entry in stanza.get("backup", ())
    )


def _backup(entry: dict[str, Any], repos: dict[int, dict[str, Any]]) -> Backup:
    key = int(entry["database"]["repo-key"])
    repo = repos.get(key, {})
    told = repo.get("status", {})
    well = told.get("code") == 0
    status = "ok" if well else str(told.get("message", "unknown"))
    return Backup(
        repo=key,
        label=entry["label"],
        type=entry["type"],
        begin_s=entry["timestamp"]["start"],
        end_s=entry["timestamp"]["stop"],
        size=entry["info"]["size"],
        stored=entry["info"]["repository"]["size"],
        cipher=repo.get("cipher", "none"),
        status="damaged pages" if entry.get("error") else status,
    )


def verify(run: Exec, pod: str, container: str, repo: int) -> str:
    """Check every stored file against its checksum: `ok`, or what pgBackRest complains of."""
    try:
        said = _pgbackrest(
            run, pod, container, repo, "--output=text", "verify", timeout_s=BACKUP_S
        ).strip()
    except CommandFailed as error:
        return error.said.strip() or f"exit code {error.code}"
    return "ok" if "status: error" not in said else said


def read_raw(run: Exec, pod: str, container: str, backup: Backup) -> Raw:
    """Read the beginning of a backup's list of files as it lies in the store, without decryption.

    Without a cipher it is plain text that begins with a section name; sealed it begins with
    OpenSSL's mark and a salt.
    """
    name = f"backup/{STANZA}/{backup.label}/backup.manifest"
    command = (
        "sh", "-c",
        f"pgbackrest --stanza={STANZA} --repo={backup.repo} --raw repo-get {name}"
        " | head -c 64 | tr -cd '[:print:]'",
    )  # fmt: skip
    begin = run(pod, container, command, timeout_s=60.0)
    readable = "[backup]" in begin or "[backrest]" in begin or not begin.startswith(SEALED)
    saw = f"begins with {begin[:8]!r}" if begin else "nothing came back"
    return Raw(object=f"repo{backup.repo}:{name}", readable=readable, saw=saw)


def _pgbackrest(
    run: Exec, pod: str, container: str, repo: int, *argv: str, timeout_s: float
) -> str:
    command = ("pgbackrest", f"--stanza={STANZA}", f"--repo={repo}", *argv)
    return run(pod, container, command, timeout_s=timeout_s)
