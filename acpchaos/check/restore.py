"""Can the backups be restored, only with their keys, and does ACP serve from what they hold.

Room: check. The drill tells facts as observations, named here; the last sight of a name counts:

    backups                list of {place, bucket, endpoint, label, type, cipher, status}
    fingerprints_backup    {table: fingerprint} of the store when the backup was made
    fingerprints_damaged   the same after the damage
    restored               {restored, saw} how the restore with the right keys ended
    fingerprints_restored  the same in the fresh instance
    restore_s              seconds from the begin of the restore until ACP served from it
    old_client             {served, saw}   client made before the backup, on the restored copy
    wrong_cipher           {restored, saw} restore tried with another passphrase
    wrong_key              {served, saw}   ACP on the copy with another encryption key
    unencrypted_read       {readable, saw} a stored object read without its key; or a list of them
    backup_verify          {place: "ok" or what is wrong}, every stored file against its checksum
"""

from typing import Any

from acpchaos.check.answer import answer, unproven
from acpchaos.check.configuration import observed
from acpchaos.check.verdict import Verdict
from acpchaos.record.run import Run

PLACES = 2


def two_places(run: Run) -> Verdict:
    """One full backup that ended well in each of two places with different end point and bucket."""
    backups = _backups(run)
    if not backups:
        return unproven("no backups were observed")
    good = [b for b in backups if b.get("type") == "full" and b.get("status") == "ok"]
    places = {(b.get("endpoint"), b.get("bucket")) for b in good}
    endpoints, buckets = ({place[at] for place in places} for at in (0, 1))
    count = min(len(endpoints - {None, ""}), len(buckets - {None, ""}))
    why = f"{len(good)} of {len(backups)} backups full and ok, in {count} independent places"
    return answer(count >= PLACES, why, count, PLACES, "places", _listed(backups))


def encrypted(run: Run) -> Verdict:
    """Every backup names a cipher, and a stored object was tried and is unreadable without it."""
    backups, tried = _backups(run), observed(run).get("unencrypted_read")
    if not backups:
        return unproven("no backups were observed")
    plain = [b for b in backups if b.get("cipher") in (None, "", "none")]
    if plain:
        why = f"{len(plain)} of {len(backups)} backups have no cipher"
        return answer(False, why, len(plain), 0, "plain backups", _listed(plain))
    tries = tried if isinstance(tried, list) else [tried]
    reads = [each for each in tries if isinstance(each, dict) and "readable" in each]
    if not reads or len(reads) < len(tries):
        return unproven("no stored object was read without its key")
    readable = sum(each["readable"] is not False for each in reads)
    saw = "; ".join(str(each.get("saw", "")) for each in reads)
    why = f"{len(backups)} backups with a cipher; read without the key: {saw}"
    return answer(not readable, why, readable, 0, "plain backups", _listed(backups))


def files_intact(run: Run) -> Verdict:
    """Every stored file of each place has its checksum."""
    verified = observed(run).get("backup_verify")
    if not isinstance(verified, dict) or len(verified) < PLACES:
        return unproven("the stored files were not verified in each place")
    bad = {str(place): str(said) for place, said in sorted(verified.items()) if said != "ok"}
    why = f"files intact in {len(verified) - len(bad)} of {len(verified)} places"
    evidence = tuple(f"{place}: {said}" for place, said in bad.items())
    return answer(not bad, why, len(bad), 0, "places", evidence)


def content_equal(run: Run, within_s: float) -> Verdict:
    """The restored tables equal those of the backup; the damage was seen in between; in time."""
    facts = observed(run)
    backup, damaged, restored = (
        facts.get(f"fingerprints_{name}") for name in ("backup", "damaged", "restored")
    )
    if damaged and damaged != backup and (refused := _refused(run)):
        return refused
    if not backup or not damaged or restored is None:
        return unproven("fingerprints of backup, damage and restored copy were not all observed")
    if damaged == backup:
        return unproven("the damage changed nothing, so equal tables prove nothing")
    differing = sorted(
        table
        for table in backup.keys() | restored.keys()
        if backup.get(table) != restored.get(table)
    )
    if differing:
        why = f"{len(differing)} of {len(backup)} tables differ: {', '.join(differing[:5])}"
        return answer(False, why, len(differing), 0, "tables")
    took_s = facts.get("restore_s")
    if not isinstance(took_s, int | float):
        return unproven("the time of the restore was not observed")
    why = f"{len(backup)} tables equal after damage and restore in {took_s:.0f} s"
    return answer(took_s <= within_s, why, took_s, within_s, "s")


def old_client_served(run: Run) -> Verdict:
    """ACP on the restored copy serves a client made before the backup."""
    if refused := _refused(run):
        return refused
    return _tried(run, "old_client", "served", wanted=True)


def wrong_cipher_fails(run: Run) -> Verdict:
    """Another passphrase does not restore. Counts only when the right one did."""
    if not observed(run).get("fingerprints_restored"):
        return unproven("the right passphrase was not shown to restore, so failing proves nothing")
    return _tried(run, "wrong_cipher", "restored", wanted=False)


def wrong_key_fails(run: Run) -> Verdict:
    """Another encryption key does not serve the client. Counts only when the right one did."""
    right = observed(run).get("old_client")
    if not isinstance(right, dict) or not right.get("served"):
        return unproven("the right key was not shown to serve, so failing proves nothing")
    return _tried(run, "wrong_key", "served", wanted=False)


def _tried(run: Run, name: str, outcome: str, *, wanted: bool) -> Verdict:
    """A trial whose outcome must be as wanted; not tried or no plain answer proves nothing."""
    trial = observed(run).get(name)
    if not isinstance(trial, dict) or not isinstance(trial.get(outcome), bool):
        return unproven(f"{name.replace('_', ' ')} was not tried")
    saw, got = str(trial.get("saw", "")), trial[outcome]
    words = {True: outcome, False: f"not {outcome}"}
    why = f"{name.replace('_', ' ')}: {words[got]}" + (f" ({saw})" if saw else "")
    return answer(got is wanted, why, words[got], words[wanted])


def _refused(run: Run) -> Verdict | None:
    """Failed when the backup was refused with its own keys; late or interrupted is no answer."""
    ended = observed(run).get("restored")
    if not isinstance(ended, dict) or ended.get("restored") is not False:
        return None
    why = f"the backup does not restore with its own keys ({ended.get('saw', '')})"
    return answer(False, why, "not restored", "restored")


def _backups(run: Run) -> list[dict[str, Any]]:
    value = observed(run).get("backups")
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _listed(backups: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(f"{b.get('place')}: {b.get('label')} {b.get('cipher')}" for b in backups)
