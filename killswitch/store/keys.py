"""Names of everything the switch keeps in Redis.

Invariant: every key is `<prefix>:<kind>...`, so that one ACL pattern covers them and one tracking prefix,
`<prefix>:state`, covers exactly what decides about trading. The Lua side derives the same names from the state key;
a contract test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass

from killswitch.core.modes import DRILL, Scope

__all__ = ["Keys"]


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys under one prefix (setting `KILLSWITCH_PREFIX`)."""

    prefix: str

    @property
    def state(self) -> str:
        """The switch. Exactly SAFE permits trading."""
        return f"{self.prefix}:state"

    def scope_state(self, scope: Scope | None) -> str:
        """The state key of `scope`, or of the switch itself for None."""
        return self.state if scope is None else f"{self.state}:{scope}"

    @property
    def ledger(self) -> str:
        """Hash: the epoch counter, the incarnation, and the last recorded value of every scope."""
        return f"{self.prefix}:ledger"

    @property
    def audit(self) -> str:
        """Stream: one entry for each change, and one for the end of each wait for the proof of a stop."""
        return f"{self.prefix}:audit"

    @property
    def seals(self) -> str:
        """Stream: the seal of each entry of the record that was sealed, under the id of that entry."""
        return f"{self.prefix}:seals"

    @property
    def workers(self) -> str:
        """Sorted set: worker id to last heartbeat in server milliseconds."""
        return f"{self.prefix}:workers"

    def worker(self, worker_id: str) -> str:
        """Hash with a TTL: what one worker last said of itself."""
        return f"{self.prefix}:worker:{worker_id}"

    def journal(self, name: str) -> str:
        """Stream: admitted orders that no gateway has dealt with. `:position`, `:fence` and `:outcomes` follow it."""
        return f"{self.prefix}:journal:{name}"

    @property
    def stopword(self) -> str:
        """The text that a user who may only stop copies onto the state of a scope. `killswitch init` writes it."""
        return f"{self.prefix}:stopword"

    @property
    def note(self) -> str:
        """Who stopped and why, in the words of a user who may write nothing else. Gone after seconds."""
        return f"{self.prefix}:note"

    @property
    def scratch(self) -> str:
        """The scratch scope of drills. Written and deleted in one step: what matters is the announcement."""
        return f"{self.state}:{DRILL}"

    @property
    def drill(self) -> str:
        """String with a TTL: the drill that is under way, and who makes it."""
        return f"{self.prefix}:drill"

    @property
    def drills(self) -> str:
        """Stream: what came of earlier drills."""
        return f"{self.prefix}:drills"

    @property
    def acks(self) -> str:
        """Channel: `<worker> <epoch>` when a worker becomes quiet, `<worker> left` when it leaves, `<worker>
        drill:<token>` when it acknowledges a drill."""
        return f"{self.prefix}:acks"
