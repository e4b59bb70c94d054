"""The closed list of reasons why a gate is as it is. The table in docs/reference.md is generated from here."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Code"]


class Code(StrEnum):
    """One stable word per reason; logs, `status`, metrics and `Blocked` carry it."""

    meaning: str
    remedy: str

    def __new__(cls, value: str, meaning: str, remedy: str) -> Code:
        """A code is its own text; meaning and remedy go with it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        member.remedy = remedy
        return member

    OPEN = "open", "The switch says SAFE and a fresh answer from Redis confirms it.", "None needed."
    REDUCING = (
        "reducing",
        "The switch or a scope says REDUCING: only orders that reduce a position pass.",
        '`killswitch reset --reason "..."` when full trading is to resume.',
    )
    ENGAGED = (
        "engaged",
        "The switch is engaged.",
        'Find out why (`killswitch status`), then `killswitch reset --reason "..."`.',
    )
    SCOPE_ENGAGED = (
        "scope_engaged",
        "A scope that this worker follows is engaged.",
        '`killswitch status` names it; `killswitch reset --scope DIM:NAME --reason "..."`.',
    )
    STATE_MISSING = (
        "state_missing",
        "There is no state key: never initialised, deleted, flushed, or a time-boxed permission ran out.",
        '`killswitch status`, then `killswitch reset --reason "..."`.',
    )
    STATE_UNRECOGNISED = (
        "state_unrecognised",
        "The state holds a text other than SAFE, REDUCING or ENGAGED.",
        "`killswitch engage` to overwrite it, then look who wrote it in `killswitch audit list`.",
    )
    STATE_WRONG_TYPE = (
        "state_wrong_type",
        "The state key holds a list, hash or other type instead of a string.",
        "`killswitch engage` overwrites it.",
    )
    NO_STATE_YET = "no_state_yet", "The agent has not had its first answer from Redis.", "Wait; see the next code."
    STATE_CHANGED = (
        "state_changed",
        "Redis announced a change; the gate closed first and is asking what it was.",
        "None: it lasts one round trip.",
    )
    UNRECORDED = (
        "unrecorded",
        "The state was changed by hand and has no epoch yet.",
        "None: the next beat records it.",
    )
    UNAPPROVED = (
        "unapproved",
        "SAFE was written by hand, or a stop of a scope taken away, and two persons have to permit.",
        "`killswitch status` names what; two persons reset it, or one engages.",
    )
    LEASE_EXPIRED = (
        "lease_expired",
        "No answer confirmed the permission within lease_ms.",
        "Look at Redis, the network and the load of this host.",
    )
    PERMISSION_EXPIRED = (
        "permission_expired",
        "The time-boxed permission (TTL of the state key) ran out, or nobody renewed it (dead man's switch).",
        '`killswitch status`, then `killswitch reset --reason "..."`, with `--for TIME` or then `deadman`.',
    )
    UNREACHABLE = "unreachable", "No connection to Redis can be made.", "Does Redis run? Is KILLSWITCH_REDIS_URL right?"
    TLS_EXPIRED = (
        "tls_expired",
        "A certificate of the connection to Redis has expired, ours or the server's, or is not valid yet.",
        "Renew it where it lies (no restart is needed); look at the clock of this host.",
    )
    TLS_REFUSED = (
        "tls_refused",
        "No TLS connection comes about: an unknown authority, another name, no client certificate, an unreadable file.",
        "Read the reason text; look at the files that KILLSWITCH_TLS_CA_FILE, _CERT_FILE and _KEY_FILE name.",
    )
    DISCONNECTED = "disconnected", "The connection to Redis ended.", "None if it comes back; else look at Redis."
    NO_ANSWER = (
        "no_answer",
        "Redis did not answer within patience_ms; the connection was dropped.",
        "Look at Redis (frozen, slow script, paused) and the network.",
    )
    REDIS_OOM = "redis_oom", "Redis is out of memory and would refuse SET.", "Free memory or raise maxmemory."
    REDIS_MISCONF = "redis_misconf", "Redis cannot save to disk and refuses writes.", "Mend the disk of Redis."
    REDIS_NOREPLICAS = (
        "redis_noreplicas",
        "Redis has fewer good replicas than min-replicas-to-write and refuses writes.",
        "Bring the replicas back.",
    )
    REDIS_MAXCLIENTS = (
        "redis_maxclients",
        "Redis has as many clients as it may (maxclients) and lets nobody in who would engage.",
        "End connections on the host of Redis (CLIENT KILL), or raise maxclients.",
    )
    REDIS_READONLY = "redis_readonly", "The server is a read-only replica.", "Point the URL at the master."
    REDIS_BUSY = "redis_busy", "Redis is running a slow script.", "`redis-cli FUNCTION KILL` or `SCRIPT KILL`."
    REDIS_LOADING = "redis_loading", "Redis is loading its data set.", "Wait."
    REDIS_DENIED = (
        "redis_denied",
        "Redis refused the user, the password or the command.",
        "Check the credentials and the ACL of this user.",
    )
    REDIS_REFUSED = "redis_refused", "Redis refused the question for another reason.", "Read the reason text."
    LIBRARY_MISSING = (
        "library_missing",
        "The function library is not loaded in this Redis.",
        "`killswitch init`.",
    )
    LIBRARY_MISMATCH = (
        "library_mismatch",
        "The function library in Redis has another version than this worker.",
        "`killswitch init` with the newest release, and update this worker.",
    )
    BAD_ANSWER = "bad_answer", "The answer was not of the agreed form.", "Check what answers at this address."
    INCARNATION_CHANGED = (
        "incarnation_changed",
        "Redis restarted or failed over since trading was permitted.",
        '`killswitch status`, then `killswitch reset --reason "..."`.',
    )
    INCARNATION_UNKNOWN = (
        "incarnation_unknown",
        "The server does not tell its run id, so a lost engagement could not be noticed.",
        "Allow INFO for this user (ACL `+info`).",
    )
    EPOCH_BEHIND = (
        "epoch_behind",
        "The record is older than one this worker has seen: history was lost.",
        '`killswitch reset --reason "..."` gives a newer epoch.',
    )
    STALE_SIGNAL = (
        "stale_signal",
        "The signal was made under another epoch than the one in force.",
        "None: the signal is void; the next one carries the new epoch.",
    )
    JOURNAL_FULL = (
        "journal_full",
        "The admission journal holds as many orders as it may: no gateway deals with them.",
        "Start the gateway of this journal: `killswitch-worker gateway`.",
    )
    FORKED = "forked", "This process was forked; its gate starts anew.", "None: it arms itself."
    STOPPED = "stopped", "The agent was closed or never started.", "Start the agent."
    WATCHER_DEAD = (
        "watcher_dead",
        "The watcher thread ended by an unexpected error.",
        "Restart this process and report the error in its log.",
    )
