"""Looks at whether ACP still takes a client's secret, from outside; reads no Secret of the cluster.

Room: faults. Tokens are asked for on connections of their own, since several pods answer. A token
that is handed out is revoked at once.
"""

from contextlib import suppress

from acpchaos.faults.fault import Sight
from acpchaos.target import oidc
from acpchaos.target.oidc import Account, Answer, StepFailed
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Service

TRIES = 6  # twice the pods of the reference deployment
PATH = "/system/system"


def refused(service: Service, client: str, secret: str) -> Sight:
    """Installed: ACP answers, and turns this client and secret away each time."""
    send = Plain(str(service.ca_file or ""))
    answers: list[Answer] = []
    try:
        ends = oidc.discover(send, service.base_url + PATH)
        for _ in range(TRIES):
            send.renew()
            answers.append(_asked(send, ends, Account(client, secret)))
    except StepFailed as error:
        return Sight("indeterminate", f"ACP does not answer: {error}")
    away = sum(each.status == 401 for each in answers)
    taken = sum(each.status == 200 for each in answers)
    others = sorted({oidc.error_class(a) for a in answers if a.status not in (200, 401)})
    saw = f"{away} of {TRIES} requests with the secret of before refused, {taken} answered"
    saw += f", others {', '.join(others)}" if others else ""
    detail = {"refused": away, "taken": taken, "others": others}
    if away == TRIES:
        return Sight("installed", saw, detail)
    if away:
        return Sight("partial", saw, detail)
    return Sight("not installed" if taken == TRIES else "indeterminate", saw, detail)


def _asked(send: Plain, ends: oidc.Endpoints, account: Account) -> Answer:
    header, form = oidc.basic(account), {"grant_type": "client_credentials"}
    answer = send("token", "POST", ends.token, form=form, headers=header, expect=(200, 401))
    if token := answer.json().get("access_token"):
        with suppress(StepFailed):  # it ends by itself within the hour
            oidc.revoke(send, ends, account, str(token))
    return answer
