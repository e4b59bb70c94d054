"""Operators of the soak: every way there is to stop, to permit and to look, with what each was told and when."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import Any

from killswitch import EpochConflict, KillSwitchError, Outcome, StoreRefused, StoreUnavailable, Verdict, clock
from tests.soak.crew import environment
from tests.soak.record import Pressed, Record
from tests.soak.stage import Stage
from tests.support.resp import ReplyError
from tests.support.waiting import my_line_ns

__all__ = ["ENGAGE_MEANS", "Operators"]

STATE = "killswitch:state"
ENGAGE_MEANS = ("library", "fcall", "raw", "redis-cli", "cli", "garbage", "delete", "wrong_type", "empty")


class Operators:
    """They share a stage and its log."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._log = stage.log
        self._tags = itertools.count(1)
        self.record = Record(stage.line)

    # -- stopping ------------------------------------------------------------------------------------------------

    def engage(self, means: str, scope: str | None = None, wait_s: float | None = None) -> Pressed:
        """Stops by one of ENGAGE_MEANS; only `library` and `cli` can wait for the proof."""
        # Deleting a scope's key means that it follows the switch.
        mode = "SAFE" if means == "delete" and scope is not None else "ENGAGED"
        done = self._begin(means, "engage", scope, mode)
        reason = f"soak #{done.tag}"
        if means == "library":
            self._engage_library(done, reason, scope, wait_s)
        elif means == "cli":
            self._engage_cli(done, reason, scope, wait_s)
        else:
            self._engage_bare(done, means, reason, scope)
        self._end(done)
        waited = wait_s if means in ("library", "cli") else None
        op = {"op": f"op-{done.tag}", "action": "engage", "scope": done.scope, "wait_s": waited}
        self._log.add("op", done.begin_ns, **op)
        end = {"op": f"op-{done.tag}", "result": done.result, "epoch": done.epoch, "members": done.members}
        engaged: dict[str, float] = {"engaged_t": done.ok_ns} if done.ok_ns else {}
        if done.took_ms is not None:
            engaged["took_ms"] = done.took_ms
        more = {"pending": done.pending, "leases_out": done.leases_out, **engaged}
        self._log.add("op_end", done.end_ns, **end, **more)
        return done

    def _engage_library(self, done: Pressed, reason: str, scope: str | None, wait_s: float | None) -> None:
        line_ns = 0

        def engaged(_outcome: Outcome) -> None:
            nonlocal line_ns
            done.ok_ns, line_ns = clock.now_ns(), my_line_ns()

        try:
            outcome = self._stage.control.engage(reason, scope=scope, wait_s=wait_s, on_engaged=engaged)
        except StoreRefused as error:
            done.result, done.note = "refused", str(error)
        except StoreUnavailable as error:
            done.note = str(error)
        else:
            done.took_ms = (clock.now_ns() - done.ok_ns - (my_line_ns() - line_ns)) / clock.NS_PER_MS
            self._fill(done, json.loads(json.dumps(_plain(outcome))))

    def _engage_cli(self, done: Pressed, reason: str, scope: str | None, wait_s: float | None) -> None:
        words = ["engage", "--reason", reason, "--output", "json"]
        words += ["--scope", scope] if scope else []
        words += ["--wait", f"{wait_s:g}"] if wait_s is not None else []
        url, sinks = self._stage.server.unix_url, self._stage.sinks
        env = environment(KILLSWITCH_REDIS_URL=url, KILLSWITCH_ACTOR="soak-cli", KILLSWITCH_SINKS=sinks)
        command = [sys.executable, "-m", "ops.cli", *words]
        ran = subprocess.run(
            command, cwd=self._stage.folder, env=dict(env), capture_output=True, text=True, timeout=60, check=False
        )
        lines = ran.stdout.splitlines()
        found = json.loads(lines[-1]) if lines else {}
        if "verdict" in found:
            # When +OK was read inside the other process is not known; it was before it ended.
            done.ok_ns = clock.now_ns()
            self._fill(done, found)
        else:
            done.result = "refused" if ran.returncode == 1 else "unreachable"
            done.note = f"exit {ran.returncode}: {(ran.stdout + ran.stderr)[-300:]}"

    def _fill(self, done: Pressed, found: dict[str, Any]) -> None:
        done.result, done.epoch, done.note = found["verdict"], found["epoch"], found["note"]
        done.members = [member["worker_id"] for member in found["members"]]
        done.pending = [member["worker_id"] for member in found["pending"]]
        done.sinks = {member["worker_id"]: list(member["sinks"]) for member in found["pending"]}
        done.waited_ms, done.leases_out = found["waited_ms"], found["leases_out"]

    def _engage_bare(self, done: Pressed, means: str, reason: str, scope: str | None) -> None:
        key = STATE if scope is None else f"{STATE}:{scope}"
        commands: dict[str, list[tuple[str, ...]]] = {
            "fcall": [("FCALL", "ks_engage", "1", key, reason, "soak")],
            "raw": [("SET", key, f"ENGAGED {reason}")],
            "garbage": [("SET", key, f"safe {reason}")],
            "empty": [("SET", key, "")],
            "delete": [("DEL", key)],
            "wrong_type": [("DEL", "soak:list"), ("RPUSH", "soak:list", reason), ("RENAME", "soak:list", key)],
            "redis-cli": [("SET", key, f"ENGAGED {reason}")],
        }
        try:
            if means == "redis-cli":
                answer = self._stage.server.cli(*commands[means][0])
                if answer != "OK":
                    raise ReplyError(answer) if answer[:1].isupper() and " " in answer else OSError(answer)
            else:
                with self._stage.line() as line:
                    for command in commands[means]:
                        answered = line.call(*command)
                if isinstance(answered, list):
                    done.epoch = int(str(answered[3]))
            done.ok_ns, done.result = clock.now_ns(), Verdict.RECORDED
        except ReplyError as error:
            done.result, done.note = "refused", str(error)
        except (OSError, subprocess.TimeoutExpired) as error:
            done.note = str(error)

    # -- permitting ----------------------------------------------------------------------------------------------

    def reset(self, scope: str | None = None, for_s: float | None = None) -> Pressed:
        """Looks, then permits what was looked at. A conflict is an answer; nothing is tried again here."""
        done = self._begin("library", "reset", scope, "SAFE")
        try:
            status = self._stage.control.status()
            named = (s for s in (status.switch, *status.scopes) if s.scope == done.scope)
            done.looked = next(named, status.switch).epoch
            done.begin_ns = clock.now_ns()
            outcome = self._stage.control.reset(done.looked, f"soak #{done.tag}", scope=scope, for_s=for_s)
        except EpochConflict as error:
            done.result, done.note = "conflict", str(error)
        except StoreRefused as error:
            done.result, done.note = "refused", str(error)
        except (StoreUnavailable, OSError) as error:
            done.note = str(error)
        else:
            done.ok_ns, done.result, done.epoch = clock.now_ns(), "RECORDED", outcome.epoch
        self._end(done)
        return done

    def ran_out(self, permission: Pressed, for_s: float) -> int:
        """Notes the end of a permission for `for_s` seconds, which nobody replaced before; when it was over."""
        # The server counts milliseconds, from a moment before its answer was read.
        over = permission.ok_ns + int(for_s * 1e9) + 2_000_000
        self.record.ran_out(permission.begin_ns + int(for_s * 1e9), over)
        return over

    def reduce(self, scope: str | None = None) -> Pressed:
        """Permits reducing orders only, from SAFE."""
        done = self._begin("library", "reduce", scope, "REDUCING")
        try:
            outcome = self._stage.control.reduce(f"soak #{done.tag}", scope=scope)
        except KillSwitchError as error:
            done.result, done.note = type(error).__name__, str(error)
        else:
            done.ok_ns, done.result, done.epoch = clock.now_ns(), "RECORDED", outcome.epoch
        self._end(done)
        return done

    # -- the record ----------------------------------------------------------------------------------------------

    def lost(self, why: str, at_ns: int) -> None:
        """The server's permissions are void, and its record may be."""
        self._log.add("lost", at_ns, server="switch", why=why)

    def _begin(self, means: str, action: str, scope: str | None, mode: str) -> Pressed:
        done = Pressed(next(self._tags), means, action, scope or "switch", clock.now_ns(), mode)
        self.record.pressed(done)
        return done

    def _end(self, done: Pressed) -> None:
        if done.ok_ns and done.mode != "SAFE":
            for worker in self._stage.followers(done.scope, direct=True):
                self._log.add("announced", done.ok_ns, worker=worker, changed=done.ok_ns)
        done.end_ns = clock.now_ns()


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "verdict": outcome.verdict,
        "epoch": outcome.epoch,
        "note": outcome.note,
        "members": [{"worker_id": member.worker_id} for member in outcome.members],
        "pending": [{"worker_id": member.worker_id, "sinks": member.sinks} for member in outcome.pending],
        "waited_ms": outcome.waited_ms,
        "leases_out": outcome.leases_out,
    }
