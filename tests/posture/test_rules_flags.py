"""HARD-39 to HARD-43: each door of each switch, and what ACP answers."""

from typing import Any

import pytest

from acpchaos.check.posture.objects import pointer
from acpchaos.record.snapshot import Answer, Object, Snapshot

from .asking import ACP, fails, passes, replaced, undecided, unread
from .building import (
    CONFIG,
    CONTAINER,
    FILES,
    MAIN,
    POD,
    SECRET,
    configure,
    container,
    installation,
    pod_spec,
    seal,
)
from .building_lab import hardened

FLAGS = {
    "HARD-39": "--dev", "HARD-40": "--swagger", "HARD-41": "--demo",
    "HARD-42": "--create-default-tenant", "HARD-43": "--create-default-workspaces",
}  # fmt: skip
SETTINGS = {
    "HARD-39": "features.dev_mode", "HARD-40": "features.swagger_ui",
    "HARD-41": "features.demo_app",
}  # fmt: skip
ENVIRONMENT = "/acme/main/environment"
ARG = f"{CONTAINER}.args[5]"
EXTRA = "data[extraconfig.yaml]"


def args(snapshot: Snapshot, name: str = "acp", kind: str = "Deployment") -> list[str]:
    found: list[str] = container(snapshot, name, kind)["args"]
    return found


def variable(snapshot: Snapshot, **entry: Any) -> None:
    """One more environment variable of the main container; it becomes env[1]."""
    container(snapshot)["env"].append(entry)


def variable_of(row: str) -> str:
    return SETTINGS[row].upper().replace(".", "_")


def answered(snapshot: Snapshot, **told: Any) -> None:
    answer = snapshot.answers[ENVIRONMENT]
    snapshot.answers[ENVIRONMENT] = Answer(status=200, body={**answer.body, **told})


@pytest.mark.parametrize("row", [*FLAGS, "HARD-45"])
def test_a_sound_installation_passes(row: str) -> None:
    passes(installation(), row)
    passes(hardened(), row)


# flags


@pytest.mark.parametrize("row", FLAGS)
@pytest.mark.parametrize("suffix", ["", "=true", "=1", "=T", "=yes"])
def test_a_flag_fails(row: str, suffix: str) -> None:
    snapshot = installation()
    args(snapshot).append(FLAGS[row] + suffix)
    found = fails(snapshot, row, MAIN, ARG)
    assert found.remedy == '[{"op": "remove", "path": "/spec/template/spec/containers/0/args/5"}]'


@pytest.mark.parametrize("row", FLAGS)
@pytest.mark.parametrize("word", ["{}=false", "{}=0", "{}=", "{}x", "x{}", "-{}", "{}.x=true"])
def test_a_flag_that_says_no_or_is_another_one_passes(row: str, word: str) -> None:
    snapshot = installation()
    args(snapshot).append(word.format(FLAGS[row]))
    passes(snapshot, row)


@pytest.mark.parametrize("row", FLAGS)
@pytest.mark.parametrize("name", ["acp-primary", "acp-workers", "acp-workers-primary"])
def test_each_workload_counts(row: str, name: str) -> None:
    snapshot = installation()
    args(snapshot, name).append(FLAGS[row])
    fails(snapshot, row, f"Deployment {ACP}/{name}", ARG, "True")


@pytest.mark.parametrize("row", FLAGS)
def test_jobs_init_containers_and_commands_count(row: str) -> None:
    snapshot = installation()
    pod_spec(snapshot, "acp-migrate", "Job")["initContainers"][0]["args"].append(FLAGS[row])
    fails(snapshot, row, f"Job {ACP}/acp-migrate", f"{POD}.initContainers[0].args[4]")
    snapshot = installation()
    args(snapshot, "acp-export", "CronJob").append(FLAGS[row])
    where = f"spec.jobTemplate.{CONTAINER}.args[3]"
    fails(snapshot, row, f"CronJob {ACP}/acp-export", where)
    snapshot = installation()
    container(snapshot)["command"] = ["acp", FLAGS[row]]
    fails(snapshot, row, MAIN, f"{CONTAINER}.command[1]")


def test_a_script_for_a_shell_is_read_word_by_word() -> None:
    snapshot = installation()
    container(snapshot)["command"] = ["sh", "-c", "exec acp server start --dev"]
    fails(snapshot, "HARD-39", MAIN, f"{CONTAINER}.command[2]")
    container(snapshot)["command"] = ["sh", "-c", "echo '--dev is off'"]
    passes(snapshot, "HARD-39")
    container(snapshot)["command"] = ["sh", "-c", "echo it's --dev"]  # no shell takes it; words do
    fails(snapshot, "HARD-39", MAIN, f"{CONTAINER}.command[2]")


def test_a_word_is_filled_in_from_a_variable() -> None:
    snapshot = installation()
    variable(snapshot, name="EXTRA", value="--dev")
    args(snapshot).append("$(EXTRA)")
    fails(snapshot, "HARD-39", MAIN, ARG)
    args(snapshot)[-1] = "$$(EXTRA)"
    passes(snapshot, "HARD-39")


def test_a_word_that_stands_in_a_secret_leaves_the_row_undecided() -> None:
    snapshot = installation()
    snapshot.objects["Secret"][0]["data"]["extra"] = "sealed:0000000000dd:5:-"
    ref = {"secretKeyRef": {"name": "acp-secret", "key": "extra"}}
    variable(snapshot, name="EXTRA", valueFrom=ref)
    args(snapshot).append("$(EXTRA)")
    undecided(snapshot, "HARD-39", "a word of Deployment acp-system/acp is hidden in a variable")
    args(snapshot)[-1:] = ["--sql.url", "$(EXTRA)"]
    passes(snapshot, "HARD-39")
    args(snapshot).append("--dev")
    fails(snapshot, "HARD-39", MAIN, f"{CONTAINER}.args[7]")


# files


@pytest.mark.parametrize("row", SETTINGS)
@pytest.mark.parametrize("value", [True, "true", "yes", 1])
def test_a_setting_in_a_file_fails_once_for_all_who_read_it(row: str, value: Any) -> None:
    snapshot = installation()
    section, _, key = SETTINGS[row].partition(".")
    configure(snapshot, {section: {key: value}})
    found = fails(snapshot, row, CONFIG, f"{EXTRA}.{section}.{key}")
    assert found.remedy == f"{section}: {{{key}: false}}"


def test_a_setting_that_a_later_file_takes_back_still_fails() -> None:
    snapshot = installation()
    configure(snapshot, {"features": {"dev_mode": True}}, "config.yaml")
    configure(snapshot, {"features": {"dev_mode": False}})
    fails(snapshot, "HARD-39", CONFIG, "data[config.yaml].features.dev_mode", "True")


def test_the_secrets_file_counts() -> None:
    snapshot = installation()
    seal(snapshot, features={"swagger_ui": True})
    fails(snapshot, "HARD-40", SECRET, "data[config.yaml].features.swagger_ui")


def test_a_file_that_nobody_reads_does_not_count() -> None:
    snapshot = installation()
    configure(snapshot, {"features": {"dev_mode": True}}, "other.yaml")
    passes(snapshot, "HARD-39")


@pytest.mark.parametrize("form", [["--config=/data/x.yaml"], ["--config", "/data/x.yaml"],
                                  ["--config", f"{FILES}, /data/x.yaml"]])  # fmt: skip
def test_all_forms_of_config_are_read(form: list[str]) -> None:
    snapshot = installation()
    configure(snapshot, {"features": {"dev_mode": True}}, "x.yaml")
    args(snapshot)[3:] = form
    fails(snapshot, "HARD-39", CONFIG, "data[x.yaml].features.dev_mode")


def test_a_file_mounted_by_sub_path_or_item_is_read() -> None:
    snapshot = installation()
    configure(snapshot, {"features": {"dev_mode": True}}, "x.yaml")
    mount = {"name": "data", "mountPath": "/etc/acp.yaml", "subPath": "x.yaml"}
    container(snapshot)["volumeMounts"].append(mount)
    args(snapshot)[3:] = ["--config=/etc/acp.yaml"]
    fails(snapshot, "HARD-39", CONFIG, "data[x.yaml].features.dev_mode")
    items = [{"key": "x.yaml", "path": "deep/acp.yaml"}]
    pod_spec(snapshot)["volumes"][0]["configMap"]["items"] = items
    args(snapshot)[3:] = ["--config=/data/deep/acp.yaml"]
    fails(snapshot, "HARD-39", CONFIG, "data[x.yaml].features.dev_mode")


def test_the_innermost_mount_counts() -> None:
    snapshot = installation()
    configure(snapshot, {"features": {"dev_mode": True}}, "config.yaml")
    container(snapshot)["volumeMounts"].append({"name": "secret", "mountPath": "/data/in"})
    args(snapshot)[3:] = ["--config=/data/in/config.yaml"]
    others = ("acp-primary", "acp-workers", "acp-workers-primary")
    for name in others:
        args(snapshot, name)[3:] = ["--config=/secret/config.yaml"]
    snapshot.objects["Job"].clear()
    snapshot.objects["CronJob"].clear()
    passes(snapshot, "HARD-39")


def test_a_file_from_elsewhere_leaves_the_row_undecided() -> None:
    snapshot = installation()
    pod_spec(snapshot)["volumes"][1] = {"name": "secret", "csi": {"driver": "secrets-store"}}
    undecided(snapshot, "HARD-39", "which no ConfigMap or Secret fills")
    passes(snapshot, "HARD-42")
    args(snapshot).append("--dev")
    fails(snapshot, "HARD-39", MAIN, ARG)


@pytest.mark.parametrize("text", ["a: [", "just words"])
def test_a_file_that_is_no_mapping_leaves_the_row_undecided(text: str) -> None:
    snapshot = installation()
    configure(snapshot, text)
    undecided(snapshot, "HARD-39", f"{CONFIG}[extraconfig.yaml] is no ")


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "Job", "Deployment"])
@pytest.mark.parametrize("row", ["HARD-39", "HARD-45"])
def test_a_kind_that_could_not_be_listed_leaves_the_row_undecided(row: str, kind: str) -> None:
    snapshot = installation()
    unread(snapshot, kind)
    undecided(snapshot, row, f"{kind} objects could not be read: forbidden")


# variables


@pytest.mark.parametrize("row", SETTINGS)
@pytest.mark.parametrize("value", ["true", "1", "on"])
def test_a_variable_fails(row: str, value: str) -> None:
    snapshot, name = installation(), variable_of(row)
    variable(snapshot, name=name, value=value)
    assert fails(snapshot, row, MAIN, f"{CONTAINER}.env[1]").remedy == f'{name}: "false"'


@pytest.mark.parametrize("value", ["false", "0", ""])
def test_a_variable_that_says_no_passes(value: str) -> None:
    snapshot = installation()
    variable(snapshot, name="FEATURES_DEV_MODE", value=value)
    passes(snapshot, "HARD-39")


def test_the_last_of_two_variables_counts() -> None:
    snapshot = installation()
    variable(snapshot, name="FEATURES_DEV_MODE", value="true")
    variable(snapshot, name="FEATURES_DEV_MODE", value="false")
    passes(snapshot, "HARD-39")


def test_a_variable_from_a_config_map_fails() -> None:
    snapshot = installation()
    configure(snapshot, "true", "dev")
    ref: Object = {"configMapKeyRef": {"name": "acp", "key": "dev"}}
    variable(snapshot, name="FEATURES_DEV_MODE", valueFrom=ref)
    fails(snapshot, "HARD-39", MAIN, f"{CONTAINER}.env[1]")
    ref["configMapKeyRef"] |= {"key": "none", "optional": True}
    passes(snapshot, "HARD-39")


def test_all_variables_of_a_source_count_with_their_prefix() -> None:
    snapshot = installation()
    configure(snapshot, "true", "DEV_MODE")
    source = {"prefix": "FEATURES_", "configMapRef": {"name": "acp"}}
    container(snapshot)["envFrom"] = [source]
    fails(snapshot, "HARD-39", MAIN, f"{CONTAINER}.envFrom[0]")
    variable(snapshot, name="FEATURES_DEV_MODE", value="false")  # wins over envFrom
    passes(snapshot, "HARD-39")


def test_a_sealed_variable_leaves_the_row_undecided() -> None:
    snapshot = installation()
    snapshot.objects["Secret"][0]["data"]["dev"] = "sealed:0000000000dd:1:-"
    ref = {"secretKeyRef": {"name": "acp-secret", "key": "dev"}}
    variable(snapshot, name="FEATURES_DEV_MODE", valueFrom=ref)
    undecided(snapshot, "HARD-39", "is sealed, so its value is not known")


def test_a_source_that_manifests_lack_leaves_the_rows_undecided() -> None:
    snapshot = replaced(installation(), source="manifests")
    container(snapshot)["envFrom"] = [{"secretRef": {"name": "outside"}}]
    for row in ("HARD-39", "HARD-45"):
        undecided(snapshot, row, f"Secret {ACP}/outside is not among the manifests")


# what ACP answers


@pytest.mark.parametrize("row", SETTINGS)
def test_what_acp_says_of_itself_fails_whatever_the_doors_say(row: str) -> None:
    snapshot, key = installation(), SETTINGS[row].partition(".")[2]
    answered(snapshot, **{key: True})
    fails(snapshot, row, ENVIRONMENT, key, "True")


@pytest.mark.parametrize("row", [*SETTINGS, "HARD-45"])
def test_without_an_answer_the_row_is_undecided(row: str) -> None:
    snapshot = installation()
    snapshot.answers[ENVIRONMENT] = Answer(status=0, error="connection refused")
    undecided(snapshot, row, "connection refused")
    snapshot.answers[ENVIRONMENT] = Answer(status=404)
    undecided(snapshot, row, "answered HTTP 404")
    snapshot.answers.clear()
    undecided(snapshot, row, "GET /environment was not asked")
    passes(snapshot, "HARD-42")


def test_one_of_several_answers_is_enough_and_one_without_the_key_is_not() -> None:
    snapshot = installation()
    snapshot.answers["/api/admin/acme/environment"] = Answer(status=403)
    passes(snapshot, "HARD-39")
    snapshot.answers[ENVIRONMENT] = Answer(status=200, body={"version": "2.25.0"})
    undecided(snapshot, "HARD-39", "does not tell dev_mode")


@pytest.mark.parametrize("row", [*FLAGS, "HARD-45"])
def test_manifests_are_judged_without_answers(row: str) -> None:
    snapshot = replaced(installation(), source="manifests", answers={})
    passes(snapshot, row)


def test_a_secret_that_manifests_lack_leaves_switches_of_files_undecided() -> None:
    snapshot = replaced(installation(), source="manifests", answers={})
    del snapshot.objects["Secret"][0]
    for row in (*SETTINGS, "HARD-45"):
        undecided(snapshot, row, "Secret acp-system/acp-secret is not among the manifests")
    passes(snapshot, "HARD-43")


def test_a_pointer_follows_rfc_6901() -> None:
    assert pointer("spec.a[0].b[12]") == "/spec/a/0/b/12"
