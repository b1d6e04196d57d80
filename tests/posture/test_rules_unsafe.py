"""HARD-45: each line of the table of unsafe settings, through each door."""

from typing import Any

import pytest

from .asking import fails, fails_among, passes, replaced, undecided
from .building import (
    CONFIG,
    CONTAINER,
    FAAS,
    MAIN,
    SECRET,
    configure,
    container,
    installation,
    seal,
)
from .test_rules_flags import ARG, ENVIRONMENT, EXTRA, answered, args, variable

UNSAFE = [
    ("server.disable_csrf", True), ("redis.tls.insecure_skip_verify", True),
    ("faas.insecure", "true"), ("client.tls.skip_verify", True), ("timescale.disable_tls", True),
    ("server.dangerous_allow_all", True), ("redis.tls.enabled", False), ("server.debug", True),
    ("features.integration_endpoints", True), ("logging.level", "debug"), ("log_level", "TRACE"),
    ("sql.url", "postgres://acp:sealed:0000000000aa:9:-@sql/acp?a=b&sslmode=disable"),
    ("sql.sslmode", "allow"), ("otel.insecureSkipVerify", True),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), UNSAFE)
def test_an_unsafe_setting_in_a_file_fails(path: str, value: Any) -> None:
    snapshot, content = installation(), value
    for key in reversed(path.split(".")):
        content = {key: content}
    configure(snapshot, content)
    found = fails(snapshot, "HARD-45", CONFIG, f"{EXTRA}.{path}")
    assert "sealed:" not in found.saw and "(" in found.saw
    assert "{}" not in found.remedy


@pytest.mark.parametrize(("path", "value"), UNSAFE)
def test_the_same_as_a_variable_fails(path: str, value: Any) -> None:
    snapshot = installation()
    name = "OTEL_INSECURE_SKIP_VERIFY" if path.startswith("otel") else path.upper()
    text = str(value).lower() if isinstance(value, bool) else value
    variable(snapshot, name=name.replace(".", "_"), value=text)
    fails(snapshot, "HARD-45", MAIN, f"{CONTAINER}.env[1]")


@pytest.mark.parametrize(("path", "value"), UNSAFE)
def test_the_same_as_a_flag_fails(path: str, value: Any) -> None:
    snapshot = installation()
    args(snapshot).append(f"--{path.replace('_', '-')}={str(value).lower()}")
    fails(snapshot, "HARD-45", MAIN, ARG)


@pytest.mark.parametrize("words", [["--insecure"], ["--log-level", "debug"], ["--debug", "start"]])
def test_flags_without_an_equals_sign_are_understood(words: list[str]) -> None:
    snapshot = installation()
    args(snapshot).extend(words)
    fails(snapshot, "HARD-45", MAIN, ARG)


SAFE = [
    ("server.disable_csrf", False), ("redis.tls.enabled", True), ("logging.level", "info"),
    ("server.dangerous_disable_tls", True), ("sql.url", "postgres://sql/acp?sslmode=verify-full"),
    ("redis.tls.enabled", ""), ("server.debug_port", 6060), ("log.format", "debug"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), SAFE)
def test_a_safe_setting_passes(path: str, value: Any) -> None:
    snapshot = installation()
    section, _, rest = path.partition(".")
    key, _, inner = rest.partition(".")
    configure(snapshot, {section: {key: {inner: value} if inner else value}})
    passes(snapshot, "HARD-45")


def test_functions_count() -> None:
    snapshot = installation()
    entry = {"name": "NODE_TLS_REJECT_UNAUTHORIZED", "value": "0"}
    container(snapshot, "acp-faas-node-v5")["env"] = [entry]
    fails(snapshot, "HARD-45", f"Deployment {FAAS}/acp-faas-node-v5", f"{CONTAINER}.env[0]")


def test_a_sealed_value_under_such_a_name_leaves_the_row_undecided() -> None:
    snapshot = installation()
    seal(snapshot, logging={"level": "sealed:0000000000dd:5:-"})
    undecided(snapshot, "HARD-45", "logging.level is sealed")
    seal(snapshot, logging={"level": "sealed:0000000000dd:5:-"}, server={"disable_csrf": True})
    fails(snapshot, "HARD-45", SECRET, "data[config.yaml].server.disable_csrf")


def test_a_hidden_variable_of_another_name_is_no_reason_to_doubt() -> None:
    snapshot = replaced(installation(), source="manifests")
    ref = {"secretKeyRef": {"name": "outside", "key": "x"}}
    variable(snapshot, name="SMTP_PASSWORD", valueFrom=ref)
    passes(snapshot, "HARD-45")
    variable(snapshot, name="LOG_LEVEL", valueFrom=ref)
    undecided(snapshot, "HARD-45", "variable LOG_LEVEL of Deployment acp-system/acp")


@pytest.mark.parametrize("key", ["insecure_disable_csrf", "debug", "fake_data"])
def test_unsafe_switches_that_acp_tells_fail(key: str) -> None:
    snapshot = installation()
    answered(snapshot, **{key: True})
    fails_among(snapshot, "HARD-45", ENVIRONMENT, key, "True")
