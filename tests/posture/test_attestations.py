"""What people attest: signed, of this target, recent; everything else fails the row."""

import base64
import datetime as dt
import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from acpchaos.check.posture import judge as judging
from acpchaos.check.posture import rules
from acpchaos.check.posture.attestations import (
    Attestation,
    append,
    armoured,
    load_attestations,
    payload,
    public_half,
    signed,
    verified,
)
from acpchaos.check.posture.judge import judge
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rule import Judgement, NoAttestation, Rule, Unattested, Unreadable
from acpchaos.check.posture.view import View
from acpchaos.check.verdict import Outcome
from acpchaos.cli import main
from acpchaos.errors import UsageError
from acpchaos.record.snapshot import Snapshot
from posture.asking import with_policy
from posture.building_lab import NOW, hardened

TODAY = NOW.date()
Private = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(key: Private) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public(key: Private) -> str:
    return key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ).decode()  # fmt: skip


KEY, OTHER = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()


def word(**changed: object) -> Attestation:
    fields = {"row": "HARD-01", "date": TODAY, "owner": "sre", "text": "seen", "target": "kind"}
    return Attestation(**(fields | changed))  # type: ignore[arg-type]


def lab() -> Snapshot:
    return with_policy(hardened(), attesters={"sre": public_half(pem(KEY))}, report_days=90)


def asked(*given: Attestation, snapshot: Snapshot | None = None) -> Attestation:
    return View(snapshot or lab(), given).attestation("HARD-01")


def saw(*given: Attestation, snapshot: Snapshot | None = None) -> str:
    """What the finding says of attestations that do not count."""
    with pytest.raises(Unattested) as caught:
        asked(*given, snapshot=snapshot)
    assert not isinstance(caught.value, Unreadable)
    finding = caught.value.finding
    assert finding.object == "attestation HARD-01"
    assert finding.remedy.startswith("acpchaos attest HARD-01 --target kind")
    return finding.saw


# signatures


@pytest.mark.parametrize("key", [KEY, ec.generate_private_key(ec.SECP256R1())], ids=["ed", "ec"])
def test_a_signature_verifies_by_its_key_and_no_other(key: Private) -> None:
    made = signed(word(), pem(key))
    assert verified(made, public(key))
    assert verified(made, public_half(pem(key)))
    assert not verified(made, public(OTHER))


@pytest.mark.parametrize(
    "change",
    [
        {"text": "seen, too"},
        {"row": "HARD-18"},
        {"date": TODAY - dt.timedelta(days=1)},
        {"owner": "boss"},
        {"target": "staging"},
        {"signature": ""},
        {"signature": "a.b"},
    ],
)
def test_a_changed_field_breaks_the_signature(change: dict[str, object]) -> None:
    made = signed(word(), pem(KEY))
    assert not verified(msgspec.structs.replace(made, **change), public(KEY))


def test_a_signature_that_brings_its_own_payload_is_refused() -> None:
    made = signed(word(), pem(KEY))
    header, _, signature = made.signature.split(".")
    middle = base64.urlsafe_b64encode(payload(made)).rstrip(b"=").decode()
    whole = msgspec.structs.replace(made, signature=f"{header}.{middle}.{signature}")
    assert not verified(whole, public(KEY))


def test_no_signature_counts_for_the_algorithm_none() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert not verified(word(signature=f"{header}.."), public(KEY))
    assert not verified(word(signature=f"{header}..AA"), public(KEY))


def test_what_is_signed_can_be_verified_without_this_project(tmp_path: Path) -> None:
    made = signed(word(text="Größe, 100 %"), pem(KEY))
    header, _, signature = made.signature.split(".")
    body = base64.urlsafe_b64encode(payload(made)).rstrip(b"=")
    (tmp_path / "data").write_bytes(header.encode() + b"." + body)
    (tmp_path / "sig").write_bytes(base64.urlsafe_b64decode(signature + "=="))
    (tmp_path / "key").write_text(armoured(public_half(pem(KEY))))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin",
               "-in", "data", "-sigfile", "sig"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert "Verified Successfully" in done.stdout, done.stderr
    assert json.loads(payload(made))["text"] == "Größe, 100 %"


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())]
)
def test_other_keys_do_not_sign(key: Private) -> None:
    with pytest.raises(UsageError, match="no private Ed25519 or P-256 key"):
        signed(word(), pem(key))


def test_text_that_is_no_key_is_told() -> None:
    with pytest.raises(UsageError, match="read the signing key"):
        public_half(b"no key")


# what counts


def test_a_recent_word_of_an_attester_counts() -> None:
    made = signed(word(), pem(KEY))
    assert asked(made) == made
    eldest = signed(word(date=TODAY - dt.timedelta(days=90)), pem(KEY))
    assert asked(eldest) == eldest


def test_none_at_all_is_both_unattested_and_unreadable() -> None:
    with pytest.raises(NoAttestation) as caught:
        asked(signed(word(row="HARD-18"), pem(KEY)))
    assert isinstance(caught.value, Unreadable) and caught.value.finding.saw == "missing"


def test_an_old_word_does_not_count() -> None:
    old = signed(word(date=TODAY - dt.timedelta(days=91)), pem(KEY))
    assert saw(old) == f"91 days old, of {old.date}"
    assert saw(old, snapshot=with_policy(lab(), report_days=10)) == f"91 days old, of {old.date}"


def test_the_newest_valid_word_counts_beside_an_old_and_a_forged_one() -> None:
    old = signed(word(date=TODAY - dt.timedelta(days=200)), pem(KEY))
    good = signed(word(date=TODAY - dt.timedelta(days=2)), pem(KEY))
    forged = signed(word(), pem(OTHER))
    assert asked(old, good, forged) == good


def test_a_forged_word_does_not_count() -> None:
    assert "does not verify" in saw(signed(word(), pem(OTHER)))
    assert "does not verify" in saw(word())


def test_a_word_of_a_stranger_does_not_count() -> None:
    assert "no attester" in saw(signed(word(owner="boss"), pem(KEY)))


def test_a_word_about_another_target_does_not_count() -> None:
    assert "for target staging, not for kind" in saw(signed(word(target="staging"), pem(KEY)))


def test_a_word_from_the_future_does_not_count() -> None:
    made = signed(word(date=TODAY + dt.timedelta(days=1)), pem(KEY))
    assert "after this snapshot was taken" in saw(made)


# in the judge


def attesting(row: str, *, beside: Judgement | None = None) -> Rule:
    """A rule that takes a person's word, after other evidence when there is some."""

    def judged(view: View) -> Judgement:
        def said() -> Judgement:
            return Judgement(read=(f"attestation of {view.attestation(row).date}",))

        return joined([said, *([lambda: beside] if beside else [])])

    return Rule(row=row, evidence="e", passes="p", source="s", remedy="r", judge=judged)


@pytest.mark.parametrize(
    ("given", "outcome", "why"),
    [
        ([], Outcome.FAILED, "attestation HARD-01 is missing"),
        ([word()], Outcome.FAILED, "does not verify"),
        ([signed(word(), pem(KEY))], Outcome.PASSED, "attestation of 2026-11-24"),
    ],
)
@pytest.mark.parametrize("beside", [None, Judgement(read=("x",))])
def test_the_judge_fails_a_row_that_nobody_validly_attests(
    monkeypatch: pytest.MonkeyPatch, given: list[Attestation], outcome: Outcome, why: str,
    beside: Judgement | None,
) -> None:  # fmt: skip
    rule = attesting("HARD-01", beside=beside)
    monkeypatch.setattr(judging.rules, "rules", lambda: rules.registered() | {"HARD-01": rule})
    row = judge(lab(), attestations=given)[0]
    assert (row.row, row.verdict.outcome) == ("HARD-01", outcome)
    assert why in row.verdict.why


# files and the command


def test_entries_are_appended_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "attestations.toml"
    first = signed(word(text='a "quoted"\nline\\'), pem(KEY))
    second = signed(word(row="HARD-18", text="é"), pem(KEY))
    append(second, append(first, path))
    assert load_attestations(path) == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "[[attestation]]\nrow = 'HARD-01'\n",
        "[[attestation]]\nrow = ''\ndate = 2026-01-01\nowner = 'a'\ntext = 'b'\n",
        "[[attestation]]\nrow = 'HARD-01'\ndate = 'soon'\nowner = 'a'\ntext = 'b'\n",
        "[[attestation]]\nrow = 'HARD-01'\ndate = 2026-01-01\nowner = 'a'\ntext = 'b'\nx = 1\n",
        "no toml",
    ],
)
def test_a_file_that_says_too_little_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match=r"read attestations from .*a\.toml"):
        load_attestations(tmp_path / "a.toml")


def test_the_command_signs_what_the_profile_verifies(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(KEY))
    done = CliRunner().invoke(
        main,
        ["attest", "HARD-01", "--text", "seen", "--owner", "sre", "--target", "kind",
         "--key", str(tmp_path / "key.pem"), "--file", str(tmp_path / "a.toml")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (made,) = load_attestations(tmp_path / "a.toml")
    assert made.date == dt.datetime.now(dt.UTC).date()
    assert verified(made, public(KEY))
    assert f'sre = "{public_half(pem(KEY))}"' in done.output
    assert "PRIVATE" not in done.output


def test_a_row_that_is_not_on_the_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(KEY))
    command = ["attest", "HARD-99", "--text", "x", "--owner", "y", "--key"]
    done = CliRunner().invoke(main, [*command, str(tmp_path / "key.pem")])
    assert done.exit_code == 4 and "no such row" in done.output
