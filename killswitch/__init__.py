"""A kill switch for a fleet of trading processes: one SET stops all of them, and the operator can prove that it did.

This page is the door: what is named here is public and stays. It is opened lazily, so that a shell command that must
be fast imports only what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from killswitch._version import __version__

if TYPE_CHECKING:
    from killswitch.control.controller import Controller, InitReport
    from killswitch.control.outcome import Outcome, Verdict
    from killswitch.core.audit import AuditEntry
    from killswitch.core.fleet import FleetStatus, Member, SwitchState
    from killswitch.core.modes import Mode, Scope
    from killswitch.core.reasons import Code
    from killswitch.core.view import View
    from killswitch.errors import (
        Blocked,
        EpochConflict,
        InvalidInput,
        KillSwitchError,
        LibraryMissing,
        SettingsError,
        StoreRefused,
        StoreUnavailable,
    )
    from killswitch.gate.agent import Agent
    from killswitch.gate.gate import Gate, Permit
    from killswitch.settings import Settings

__all__ = [
    "Agent",
    "AuditEntry",
    "Blocked",
    "Code",
    "Controller",
    "EpochConflict",
    "FleetStatus",
    "Gate",
    "InitReport",
    "InvalidInput",
    "KillSwitchError",
    "LibraryMissing",
    "Member",
    "Mode",
    "Outcome",
    "Permit",
    "Scope",
    "Settings",
    "SettingsError",
    "StoreRefused",
    "StoreUnavailable",
    "SwitchState",
    "Verdict",
    "View",
    "__version__",
]

_HOMES = {
    "Agent": "gate.agent",
    "AuditEntry": "core.audit",
    "Code": "core.reasons",
    "Controller": "control.controller",
    "FleetStatus": "core.fleet",
    "Gate": "gate.gate",
    "InitReport": "control.controller",
    "InvalidInput": "core.modes",
    "Member": "core.fleet",
    "Mode": "core.modes",
    "Outcome": "control.outcome",
    "Permit": "gate.gate",
    "Scope": "core.modes",
    "Settings": "settings",
    "SwitchState": "core.fleet",
    "Verdict": "control.outcome",
    "View": "core.view",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'killswitch' has no attribute {name!r}")
    value = getattr(import_module(f"killswitch.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
