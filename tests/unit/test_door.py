"""The door: exactly these names are public, they open lazily, and errors carry data."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

import killswitch
from killswitch import Blocked, Code, EpochConflict, LibraryMissing, Mode, SettingsError, StoreRefused, StoreUnavailable
from killswitch.errors import (
    AdmissionUnknown,
    AnchorUnavailable,
    ApprovalPending,
    JournalLost,
    KillSwitchError,
    LocalServerMissing,
    NotAsAnchored,
    OrderConflict,
    PermissionEnded,
)

PUBLIC = {
    "AclUser", "Admission", "AdmissionUnknown", "Agent", "Anchor", "AnchorBook", "AnchorPlace", "AnchorUnavailable",
    "ApprovalPending", "AuditEntry", "AuditFinding", "AuditOutcome", "Auditor", "Blocked", "Code", "Controller",
    "Deadman", "Difference", "Disagreement", "Drill", "DrillBusy", "DrillNews", "DrillRecord", "DrillVerdict",
    "DrilledWorker",
    "EpochConflict", "FeedItem", "FeedLook", "Finding", "FleetStatus", "Gate", "Grade", "InitReport",
    "InvalidInput", "Journal", "JournalEntry", "JournalLost", "KillSwitchError", "LibraryMissing", "Member", "Mode",
    "NotAsAnchored", "Observation", "Observer", "OrderConflict", "Outcome", "PREFLIGHT_CHECKS", "PermissionEnded",
    "Permit", "Preflight", "PreflightReport", "QueueFacts", "ROLES", "RecordFeed", "RecordNews", "Renewer", "Role",
    "Scope", "Sealing", "Settings", "SettingsError", "SinkAddress", "Standing", "StoreRefused", "StoreUnavailable",
    "SwitchState", "Told", "Verdict", "Verification", "View", "__version__", "printable", "read_told", "source_faults",
}  # fmt: skip


def test_public_names_are_these_and_each_one_opens() -> None:
    """A name that comes or goes is a decision, made here."""
    assert set(killswitch.__all__) == PUBLIC
    assert set(dir(killswitch)) == PUBLIC
    for name in PUBLIC:
        assert getattr(killswitch, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    """Also one that exists deeper inside."""
    with pytest.raises(AttributeError, match="'killswitch' has no attribute 'Watcher'"):
        _ = killswitch.Watcher


def test_opening_the_door_imports_nothing_heavy() -> None:
    """A shell command that must be fast pays only for what it uses."""
    source = (
        "import sys, killswitch; killswitch.Mode; killswitch.Blocked\n"
        "heavy = {'pydantic', 'redis', 'hiredis', 'asyncio', 'click', 'rq', 'structlog'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_fast_path_imports_no_settings_library() -> None:
    """Engaging is on its way before anything else is loaded."""
    source = (
        "import sys, killswitch.quick\n"
        "heavy = {'pydantic', 'pydantic_settings', 'redis', 'asyncio', 'dotenv'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


ERRORS: list[KillSwitchError] = [
    Blocked(Code.ENGAGED, Mode.ENGAGED, 7, "stopped"),
    StoreUnavailable(Code.NO_ANSWER, "silence"),
    StoreRefused(Code.REDIS_OOM, "OOM"),
    LibraryMissing(Code.LIBRARY_MISSING, "init"),
    EpochConflict(7, 6, "7 is the epoch now"),
    SettingsError(("one", "two")),
    LocalServerMissing("none"),
    AdmissionUnknown("o-1", Code.NO_ANSWER, "silence"),
    OrderConflict("1-1"),
    JournalLost("orders", 7),
    AnchorUnavailable("/a/file", "it is not there"),
    NotAsAnchored("/a/file", 7, "0" * 64),
    PermissionEnded(7, "the switch was changed"),
    ApprovalPending(7, "alice", "alice has approved"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_has_one_root_says_itself_and_travels_between_processes(error: KillSwitchError) -> None:
    """Queues pickle errors; nothing of their data is lost on the way."""
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, KillSwitchError)
    assert vars(again) == vars(error)
    assert str(again) == str(error) != ""


def test_blocked_tells_code_mode_epoch_and_reason() -> None:
    """What a log line needs is in the text and in the fields."""
    assert str(ERRORS[0]) == "engaged: stopped (mode ENGAGED, epoch 7)"
    assert str(ERRORS[5]) == "settings are not valid:\n  - one\n  - two"
