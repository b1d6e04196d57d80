"""HARD-18: secrets are encrypted where they are kept, before they come into the cluster.

Room: check. Who made a Secret tells how it was kept: an operator that decrypts, Flux with or
without decryption. Where nothing tells, a person has to.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from acpchaos.check.posture.given import Given, given
from acpchaos.check.posture.objects import dig, leaves
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, rule
from acpchaos.check.posture.view import View
from acpchaos.record.sealed import SEALED
from acpchaos.record.snapshot import Object

# Flux and others decrypt with keys of these: fingerprint of the PGP key whose private half the
# vendor's reference stack publishes with its samples.
PUBLISHED_RECIPIENTS = frozenset({"379B2FD0571BABB20DDF66F7C88D9F4D45AC1770"})
_OPERATORS = {"SealedSecret", "ExternalSecret"}
_FLUX_NAME = "kustomize.toolkit.fluxcd.io/name"
_FLUX_NAMESPACE = "kustomize.toolkit.fluxcd.io/namespace"
_WANT = "encrypted by SOPS, Sealed Secrets or kept in a vault"


@rule(
    "HARD-18",
    evidence="owner of each Secret given to ACP, the Flux Kustomization that applies it, the keys "
    "it is encrypted for; where they do not tell, attestation HARD-18",
    passes="each comes from a SealedSecret, an ExternalSecret or through SOPS, with a key that "
    "nobody published; or a recent attestation says so",
    source="vendor document, hardening, secrets: encrypt them in repositories",
    remedy="sops --encrypt --in-place secret.yaml, or kubeseal; for Flux decryption: {provider: "
    "sops}",
)
def encrypted_when_kept(view: View) -> Judgement:
    absent: list[str] = []
    found = given(view, view.acp, absent)
    parts: list[Part] = [partial(_kept, view, each) for each in found]
    if absent or not found:
        parts.append(partial(_attested, view))
    return joined([*parts, partial(_recipients, view)])


def _kept(view: View, each: Given) -> Judgement:
    return _told(view, each) or _attested(view)


def _attested(view: View) -> Judgement:
    attested = view.attestation("HARD-18")
    return Judgement(read=(f"attestation HARD-18 of {attested.date} by {attested.owner}",))


def _told(view: View, each: Given) -> Judgement | None:
    """What the Secret and its makers tell of how it was kept; None when nothing does."""
    meta, where = each.object["metadata"], str(each)
    owners = {owner.get("kind") for owner in meta.get("ownerReferences") or []}
    if owners & _OPERATORS:
        return Judgement(read=(f"{where}, owned by its {min(owners & _OPERATORS)}",))
    if "sops" in each.object:
        return Judgement(read=(f"{where}, encrypted by SOPS",))
    if _FLUX_NAME in (meta.get("labels") or {}):
        return _of_flux(view, where, meta["labels"])
    if view.snapshot.source == "manifests" and _plain(each.object):
        finding = Finding(
            object=where, field="data", saw="plain", want=_WANT,
            remedy=f"sops --encrypt --in-place FILE  # the one with {where}",
        )  # fmt: skip
        return Judgement(findings=(finding,), read=(where,))
    return None


def _plain(secret: Object) -> bool:
    """Whether there is something to read in it; an empty one hides nothing and leaks nothing."""
    return any(SEALED.search(str(text)) for text in (secret.get("data") or {}).values())


def _of_flux(view: View, where: str, labels: dict[str, str]) -> Judgement | None:
    """A Secret that Flux applied as it stands in a repository, unless it was told to decrypt."""
    namespace, name = labels.get(_FLUX_NAMESPACE, ""), labels[_FLUX_NAME]
    found = view.find("Kustomization", namespace, name)
    if found is None:
        raise Unreadable(f"{where} is applied by Kustomization {namespace}/{name}, which is hidden")
    source, read = f"Kustomization {namespace}/{name}", (where, f"Kustomization {namespace}/{name}")
    if dig(found, "spec.decryption.provider") == "sops":
        return Judgement(read=read)
    finding = Finding(
        object=source, field="spec.decryption", saw=f"not set, and it applies {where}",
        want="provider sops", remedy="decryption: {provider: sops, secretRef: {name: sops-keys}}",
    )  # fmt: skip
    return Judgement(findings=(finding,), read=read)


def _recipients(view: View) -> Judgement:
    """Files that a published key opens are as good as plain."""
    saw, want = "a key whose private half is published", "a key of one's own"
    remedy = "sops updatekeys FILE, then change every secret in it"
    findings = [
        Finding(object=where, field=field, saw=saw, want=want, remedy=remedy)
        for where, field, value in _keys(view)
        if str(value).replace(" ", "").upper() in PUBLISHED_RECIPIENTS
    ]
    return Judgement(findings=tuple(findings))


def _keys(view: View) -> Iterator[tuple[str, str, Any]]:
    for secret in view.objects("Secret", view.scope.namespace):
        name = secret["metadata"]["name"]
        for place, value in leaves(secret.get("sops") or {}, "sops"):
            yield f"Secret {view.scope.namespace}/{name}", place, value
