"""A drill against an API server that answers from a table."""

import pytest

from acpchaos.stores import restore
from acpchaos.stores.restore import Drill, answered
from acpchaos.target.profile import load_profile


class FakeCluster:
    """Pods go through `states`, one per look, the last one for ever; nothing else changes."""

    def __init__(self, states):
        self.states, self.deleted = list(states), []

    def get(self, kind, name, namespace=""):
        return {"status": self.states.pop(0) if len(self.states) > 1 else self.states[0]}

    def list(self, kind, namespace="", selector=""):
        return [self.get(kind, "", namespace)]

    def find(self, kind, name, namespace=""):
        return None

    def delete(self, kind, name, namespace="", **_):
        self.deleted.append((kind, name))
        return True


def drill(*states, tag=""):
    return Drill(FakeCluster(states), load_profile("kind"), "R1", tag)


FAILED = {
    "phase": "Failed",
    "initContainerStatuses": [
        {
            "state": {
                "terminated": {"exitCode": 75, "message": "WARN \x9dnoise\nno backup set found"}
            }
        }
    ],
}
READY = {"phase": "Running", "containerStatuses": [{"ready": True}]}
STARTING = {"phase": "Pending", "containerStatuses": [{"ready": False}]}


def test_a_restore_that_serves():
    done = drill(STARTING, {}, READY)._watch_restore(30)
    assert (done.restored, done.saw) == (True, "the database serves")


def test_a_refused_restore_tells_exit_code_and_reason_in_plain_text():
    done = drill(STARTING, FAILED)._watch_restore(30)
    assert done.restored is False
    assert done.saw == "exit code 75: WARN noise no backup set found"


def failed(code, key="initContainerStatuses"):
    return {"phase": "Failed", key: [{"state": {"terminated": {"exitCode": code}}}]}


@pytest.mark.parametrize("code", [49, 63, 137, 1])
def test_a_restore_that_lost_its_store_or_was_ended_refused_nothing(code):
    """Seen live: a pod deleted while it restored ends with 63, which no passphrase caused."""
    done = drill(failed(code))._watch_restore(30)
    assert done.restored is None
    assert done.saw.startswith(f"exit code {code}")


def test_a_database_that_cannot_use_what_was_restored_refused_it():
    assert drill(failed(1, "containerStatuses"))._watch_restore(30).restored is False
    assert drill(failed(137, "containerStatuses"))._watch_restore(30).restored is None


@pytest.mark.parametrize("code", [0, 137, 143])
def test_an_acp_that_was_ended_from_outside_did_not_give_up(code):
    ended = {"restartCount": 5, "lastState": {"terminated": {"exitCode": code}}}
    assert drill({"containerStatuses": [ended]})._watch_acp(0.2).startswith("not ready in time")


def test_a_restore_that_does_not_end_proves_nothing():
    assert drill(STARTING)._watch_restore(0.2).restored is None


def test_an_acp_that_keeps_crashing_is_no_slow_start():
    crashed = {
        "restartCount": 2,
        "lastState": {"terminated": {"exitCode": 1, "message": "bad key"}},
    }
    assert drill({"containerStatuses": [crashed]})._watch_acp(30) == (
        "it does not start: exit code 1: bad key"
    )
    assert drill(READY)._watch_acp(30) == ""
    assert drill(STARTING)._watch_acp(0.2).startswith("not ready in time")


class Lingering(FakeCluster):
    """No pods, and a Deployment that is being deleted for a few looks more."""

    looks = 3

    def list(self, kind, namespace="", selector=""):
        return []

    def find(self, kind, name, namespace=""):
        if kind != "Deployment":
            return {}
        self.looks -= 1
        return {} if self.looks > 0 else None

    def create(self, kind, body, namespace=""):
        assert self.looks <= 0, "object is being deleted"
        self.made = kind


def test_acp_is_made_again_only_when_the_former_one_is_gone():
    one = Drill(Lingering([READY]), load_profile("kind"), "R1", "")
    one._replace_acp({"spec": {"template": {"spec": {"containers": []}}}}, lambda key, text: text)
    assert one.cluster.made == "Deployment"


def test_drills_of_one_run_have_names_of_their_own_and_are_deleted_by_name():
    one, other = drill(READY), drill(READY, tag="cipher")
    assert (one.namespace, other.namespace) == ("acpchaos-restore-r1", "acpchaos-restore-r1-cipher")
    one.clean_up()
    assert one.cluster.deleted == [("Namespace", "acpchaos-restore-r1")]


def test_a_long_run_id_still_makes_a_name_that_kubernetes_takes():
    name = Drill(FakeCluster([READY]), load_profile("kind"), "x" * 80, "cipher").namespace
    assert len(name) <= 63
    assert name.endswith("-cipher")


@pytest.mark.parametrize(
    ("said", "served", "saw"),
    [
        ('{"access_token": "abc"}\n200', True, "HTTP 200 with a token"),
        ('{"error": "invalid_client"}\n401', False, "HTTP 401 invalid_client"),
        ("<html>\n502", False, "HTTP 502"),
        ("{}\n200", False, "HTTP 200"),
    ],
)
def test_answers_of_the_token_end_point(said, served, saw):
    assert (answered(said).served, answered(said).saw) == (served, saw)


def asked(monkeypatch, say):
    inputs = []

    def run(pod, container, command, stdin=None, **_):
        inputs.append((command, stdin))
        return say(len(inputs))

    monkeypatch.setattr(restore, "inside", lambda cluster, namespace: run)
    return drill(READY).ask_token("load-m2m", "s3cret", attempts_s=0.2), inputs


def test_the_secret_goes_in_by_standard_input(monkeypatch):
    served, inputs = asked(monkeypatch, lambda n: '{"access_token": "x"}\n200')
    assert served.served is True
    assert "s3cret" not in " ".join(inputs[0][0])
    assert b"s3cret" in inputs[0][1]


def test_a_server_error_that_stays_is_the_answer(monkeypatch):
    served, _ = asked(monkeypatch, lambda n: '{"error": "server_error"}\n500')
    assert (served.served, served.saw) == (False, "HTTP 500 server_error")


def test_no_answer_at_all_proves_nothing(monkeypatch):
    def silent(_):
        raise restore.CommandFailed("postgresql", "curl", 7, "refused")

    assert asked(monkeypatch, silent)[0].served is None
