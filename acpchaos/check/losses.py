"""What a fault may do to a kind of token: the contract that fates are judged by.

Room: check. The table is data with its reasons; it must not know how tokens are minted or looked
at. Sources: the seed and the vendor's pages on what Redis holds (tokens, session types and codes,
needing no backup; configuration and signing keys are in SQL).
"""

from enum import StrEnum


class Rule(StrEnum):
    """What a fault may do to a kind of token."""

    MUST_HOLD = "must hold"
    LOSS_EXPECTED = "loss expected"
    EITHER = "either"  # unknown or timing; both are accepted and told
    EITHER_BUT_CONSISTENT = "either, but all alike"
    MUST_STAY_INVALID = "must stay invalid"


_UNHARMED = {
    "access_jwt": Rule.MUST_HOLD,
    "access_opaque": Rule.MUST_HOLD,
    "refresh": Rule.MUST_HOLD,
    "code": Rule.MUST_HOLD,  # lives 10 minutes, longer than these plays
    "par": Rule.EITHER,  # lives 60 s, and may wait as long for an outage to end
    "sso_session": Rule.MUST_HOLD,
    "revoked_jwt": Rule.MUST_STAY_INVALID,
    "jwt_offline": Rule.MUST_HOLD,
}

_STORE_EMPTIED = {
    "access_jwt": Rule.EITHER_BUT_CONSISTENT,  # its introspection record may be in Redis
    "access_opaque": Rule.LOSS_EXPECTED,  # is a record in the server, nothing else
    "refresh": Rule.EITHER,  # written behind to SQL in some versions
    "code": Rule.LOSS_EXPECTED,
    "par": Rule.LOSS_EXPECTED,
    "sso_session": Rule.LOSS_EXPECTED,
    "revoked_jwt": Rule.MUST_STAY_INVALID,  # a wiped deny list must not revive a token
    "jwt_offline": Rule.MUST_HOLD,  # keys are in SQL
}

# Beside the store's loss: what was minted well before the fault has been replicated since, so
# that neither pods, nodes, zones, an SQL leader nor one Redis master may cost a token.
RULES: dict[str, dict[str, Rule]] = {
    "redis_wipe": _STORE_EMPTIED,
    "redis_flush": _STORE_EMPTIED,
} | dict.fromkeys(
    (
        "pod_loss", "process_kill", "process_freeze", "rolling_restart", "ingress_kill",
        "zone_drain", "node_cut", "node_power_off", "node_freeze", "kubelet_stop",
        "redis_kill_master", "redis_kill_replica", "sql_kill_leader", "sql_switchover",
        "restore",  # the copy is restored beside the living store
    ),
    _UNHARMED,
)  # fmt: skip

# Kinds that any issuer has; a ledger without them proves too little.
REQUIRED = ("access_jwt", "refresh", "revoked_jwt", "jwt_offline")

# Looking at these uses them up, so each is looked at once; to be minted is to be valid.
ONCE = ("code", "par")
