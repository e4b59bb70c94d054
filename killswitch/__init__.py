"""A kill switch for a fleet of trading processes: one SET stops all of them, and the operator can prove that it did.

This page is the door: what is named here is public and stays. It is opened lazily, so that a shell command that must
be fast imports only what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from killswitch._version import __version__

if TYPE_CHECKING:
    from killswitch.control.auditing import Auditor
    from killswitch.control.controller import Controller
    from killswitch.control.deadman import Renewer
    from killswitch.control.drilling import Drill
    from killswitch.control.feed import FeedItem, FeedLook, RecordFeed
    from killswitch.control.observer import DrillNews, Observation, Observer, RecordNews
    from killswitch.control.outcome import InitReport, Outcome, Verdict
    from killswitch.control.preflight import PREFLIGHT_CHECKS, Preflight, PreflightReport
    from killswitch.core.anchor import Anchor, AnchorPlace
    from killswitch.core.audit import AuditEntry, AuditOutcome
    from killswitch.core.checks.facts import QueueFacts
    from killswitch.core.checks.finding import Finding, Grade
    from killswitch.core.comparing import Difference, Disagreement
    from killswitch.core.deadman import Deadman
    from killswitch.core.drill import DrilledWorker
    from killswitch.core.drill_record import DrillRecord, DrillVerdict
    from killswitch.core.findings import AuditFinding, Verification
    from killswitch.core.fleet import FleetStatus, Member, SwitchState
    from killswitch.core.journal import JournalEntry
    from killswitch.core.modes import Mode, Scope
    from killswitch.core.proof import Standing
    from killswitch.core.reasons import Code
    from killswitch.core.roles import ROLES, AclUser, Role
    from killswitch.core.sinks import SinkAddress
    from killswitch.core.told import Told, read_told
    from killswitch.core.view import View
    from killswitch.core.words import printable
    from killswitch.errors import (
        AdmissionUnknown,
        AnchorUnavailable,
        ApprovalPending,
        Blocked,
        DrillBusy,
        EpochConflict,
        InvalidInput,
        JournalLost,
        KillSwitchError,
        LibraryMissing,
        NotAsAnchored,
        OrderConflict,
        PermissionEnded,
        SettingsError,
        StoreRefused,
        StoreUnavailable,
    )
    from killswitch.gate.admission import Admission
    from killswitch.gate.agent import Agent
    from killswitch.gate.gate import Gate, Permit
    from killswitch.settings import Settings
    from killswitch.sources import source_faults
    from killswitch.store.anchors import AnchorBook
    from killswitch.store.journal import Journal
    from killswitch.store.seals import Sealing

__all__ = [
    "PREFLIGHT_CHECKS",
    "ROLES",
    "AclUser",
    "Admission",
    "AdmissionUnknown",
    "Agent",
    "Anchor",
    "AnchorBook",
    "AnchorPlace",
    "AnchorUnavailable",
    "ApprovalPending",
    "AuditEntry",
    "AuditFinding",
    "AuditOutcome",
    "Auditor",
    "Blocked",
    "Code",
    "Controller",
    "Deadman",
    "Difference",
    "Disagreement",
    "Drill",
    "DrillBusy",
    "DrillNews",
    "DrillRecord",
    "DrillVerdict",
    "DrilledWorker",
    "EpochConflict",
    "FeedItem",
    "FeedLook",
    "Finding",
    "FleetStatus",
    "Gate",
    "Grade",
    "InitReport",
    "InvalidInput",
    "Journal",
    "JournalEntry",
    "JournalLost",
    "KillSwitchError",
    "LibraryMissing",
    "Member",
    "Mode",
    "NotAsAnchored",
    "Observation",
    "Observer",
    "OrderConflict",
    "Outcome",
    "PermissionEnded",
    "Permit",
    "Preflight",
    "PreflightReport",
    "QueueFacts",
    "RecordFeed",
    "RecordNews",
    "Renewer",
    "Role",
    "Scope",
    "Sealing",
    "Settings",
    "SettingsError",
    "SinkAddress",
    "Standing",
    "StoreRefused",
    "StoreUnavailable",
    "SwitchState",
    "Told",
    "Verdict",
    "Verification",
    "View",
    "__version__",
    "printable",
    "read_told",
    "source_faults",
]

_HOMES = {
    "AclUser": "core.roles",
    "Admission": "gate.admission",
    "Agent": "gate.agent",
    "Anchor": "core.anchor",
    "AnchorBook": "store.anchors",
    "AnchorPlace": "core.anchor",
    "AuditEntry": "core.audit",
    "AuditFinding": "core.findings",
    "AuditOutcome": "core.audit",
    "Auditor": "control.auditing",
    "Code": "core.reasons",
    "Controller": "control.controller",
    "Deadman": "core.deadman",
    "Difference": "core.comparing",
    "Disagreement": "core.comparing",
    "Drill": "control.drilling",
    "DrillNews": "control.observer",
    "DrillRecord": "core.drill_record",
    "DrillVerdict": "core.drill_record",
    "DrilledWorker": "core.drill",
    "FeedItem": "control.feed",
    "FeedLook": "control.feed",
    "Finding": "core.checks.finding",
    "FleetStatus": "core.fleet",
    "Gate": "gate.gate",
    "Grade": "core.checks.finding",
    "InitReport": "control.outcome",
    "InvalidInput": "core.modes",
    "Journal": "store.journal",
    "JournalEntry": "core.journal",
    "Member": "core.fleet",
    "Mode": "core.modes",
    "Observation": "control.observer",
    "Observer": "control.observer",
    "Outcome": "control.outcome",
    "PREFLIGHT_CHECKS": "control.preflight",
    "Permit": "gate.gate",
    "Preflight": "control.preflight",
    "PreflightReport": "control.preflight",
    "QueueFacts": "core.checks.facts",
    "ROLES": "core.roles",
    "RecordFeed": "control.feed",
    "RecordNews": "control.observer",
    "Renewer": "control.deadman",
    "Role": "core.roles",
    "Scope": "core.modes",
    "Sealing": "store.seals",
    "Settings": "settings",
    "SinkAddress": "core.sinks",
    "Standing": "core.proof",
    "SwitchState": "core.fleet",
    "Told": "core.told",
    "Verdict": "control.outcome",
    "Verification": "core.findings",
    "View": "core.view",
    "printable": "core.words",
    "read_told": "core.told",
    "source_faults": "sources",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'killswitch' has no attribute {name!r}")
    value = getattr(import_module(f"killswitch.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
