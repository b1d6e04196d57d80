"""Rows of several pieces of evidence: any finding fails them, all must be read to pass.

Room: check. It must not know any rule.
"""

from collections.abc import Callable, Iterable

from acpchaos.check.posture.rule import Finding, Judgement, NotHere, Unattested, Unreadable

Part = Callable[[], Judgement]


def joined(parts: Iterable[Part]) -> Judgement:
    """One judgement of all parts. A finding counts even when other parts could not be read;
    without one, an unread part makes the whole Unreadable. Parts that do not apply are left out;
    NotHere when none applies.
    """
    findings: dict[Finding, None] = {}
    read: dict[str, None] = {}
    unread: list[str] = []
    absent: list[str] = []
    applied = False
    for part in parts:
        try:
            answer = part()
        except Unattested as lack:
            findings[lack.finding] = None
            continue
        except Unreadable as reason:
            unread.append(str(reason))
            continue
        except NotHere as reason:
            absent.append(str(reason))
            continue
        applied = True
        findings |= dict.fromkeys(answer.findings)
        read |= dict.fromkeys(answer.read)
    if findings:
        return Judgement(findings=tuple(findings), read=tuple(read))
    if unread:
        raise Unreadable("; ".join(dict.fromkeys(unread)))
    if absent and not applied:
        raise NotHere("; ".join(dict.fromkeys(absent)))
    return Judgement(read=tuple(read))
