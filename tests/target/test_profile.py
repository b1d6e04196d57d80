"""Profiles: merge, references, and errors that name file, key, what was seen and what to do."""

from pathlib import Path

import pytest

from acpchaos.errors import UsageError
from acpchaos.target.budgets import Budgets
from acpchaos.target.profile import PROJECT, load_profile, resolve

MINIMAL = '[cluster]\ncontext = "c"\n[service]\nbase_url = "https://acp.test"\n'


def written(folder: Path, text: str, local: str = "") -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    if local:
        (folder / "mine.local.toml").write_text(local)
    return path


def test_committed_profiles_are_valid() -> None:
    names = sorted((PROJECT / "targets").glob("*.toml"))
    assert {"kind.toml", "staging.example.toml"} <= {path.name for path in names}
    for path in names:
        if ".local" not in path.name:
            assert load_profile(path).namespaces.acp == "acp-system"


def test_local_file_is_laid_over_key_by_key(tmp_path: Path) -> None:
    local = '[cluster]\nkube_system_uid = "u"\nkubeconfig = "k"\n[service]\nca_file = "/ca.crt"\n'
    profile = load_profile(written(tmp_path, MINIMAL, local))
    assert profile.cluster.context == "c"
    assert profile.cluster.kube_system_uid == "u"
    assert profile.cluster.kubeconfig == tmp_path / "k"
    assert profile.service.ca_file == Path("/ca.crt")
    assert profile.service.issuer("jwt") == "https://acp.test/acme/main"


def test_unknown_profile_lists_where_it_looked_and_what_exists() -> None:
    with pytest.raises(UsageError, match=r"targets/nowhere\.toml.*\n  next: name one of kind"):
        load_profile("nowhere")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + "[budgets]\npod_los_gap_s = 1.0\n", r"budgets\.pod_los_gap_s: Extra inputs"),
        (MINIMAL + '[load]\nrate_per_s = "much"\n', r"load\.rate_per_s: .*found 'much'"),
        ('[service]\nbase_url = "https://a"\n', r"cluster: Field required"),
        (MINIMAL.replace("https://acp.test", "acp.test"), r"service\.base_url: .*absolute URL"),
        ("[cluster\n", "Expected"),
    ],
)
def test_bad_input_names_key_and_file(tmp_path: Path, text: str, expected: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=expected) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_secret_written_into_a_profile_is_refused_and_not_repeated(tmp_path: Path) -> None:
    text = MINIMAL + '[credentials.m2m]\nid = "load"\nsecret = "hunter2"\n'
    with pytest.raises(UsageError, match="by reference") as caught:
        load_profile(written(tmp_path, text))
    assert "hunter2" not in str(caught.value)


def test_references_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "from-env")
    (tmp_path / "s").write_text("from-file\n")
    assert resolve("env:SOME_SECRET") == "from-env"
    assert resolve(f"file:{tmp_path / 's'}") == "from-file"
    assert resolve("secret:a/b/c", lambda *parts: "/".join(parts)) == "a/b/c"
    for missing in ("env:NOT_THERE", "file:/not/there", "secret:a/b/c"):
        with pytest.raises(UsageError):
            resolve(missing)


def test_budget_lookup_knows_its_names_and_each_has_a_reason() -> None:
    assert Budgets().lookup("pod_loss_gap_s") == 2.0
    with pytest.raises(UsageError, match=r"use one of .*redis_wipe_rto_s"):
        Budgets().lookup("nope")
    assert all(field.description for field in Budgets.model_fields.values())
