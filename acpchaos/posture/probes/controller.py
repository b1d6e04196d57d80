"""Controller probe: the one way in that has to work, through the ingress to ACP.

Room: posture. It is the control of everything foreign: an ACP that nobody reaches is no proof of a
policy.
"""

from acpchaos.posture.probes.attempts import unknown
from acpchaos.record.snapshot import Probe
from acpchaos.target.oidc import Send, error_class, holds
from acpchaos.target.profile import Profile

NAME = "controller acp:8443"
CUT_OFF = (502, 503, 504)  # the controller answers by itself that it does not reach ACP


def run(profile: Profile, send: Send) -> dict[str, Probe]:
    """Ask ACP for its discovery document by the address that everybody uses."""
    url = f"{profile.service.issuer('jwt')}/.well-known/openid-configuration"
    good = holds("token_endpoint")
    answer = send("discovery", "GET", url, good=good)
    if answer.status == 200 and good(answer):
        return {NAME: Probe(outcome="open", saw=f"{url} answered")}
    if answer.status in CUT_OFF:
        return {NAME: Probe(outcome="blocked", saw=f"the ingress answered HTTP {answer.status}")}
    return {NAME: unknown(f"{url}: {error_class(answer, good=good)}")}
