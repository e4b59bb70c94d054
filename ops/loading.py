"""The controller of a command that has already engaged: to be had whatever the other settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from killswitch import Controller
    from killswitch.quick import Target

__all__ = ["control_for"]

LONGEST_LEASE_MS = 60_000


def control_for(target: Target) -> tuple[Controller, tuple[str, ...]]:
    """A controller for the switch that `target` names, and what is wrong with the settings.

    Where they are not valid it works with safe assumptions: the longest lease that a worker may have, so that nothing
    is called over too early.
    """
    from killswitch import Controller, Settings, SettingsError

    try:
        return Controller(Settings(), via="command"), ()
    except SettingsError as error:
        # Not validated again: that would read the broken sources once more. What is given here was checked by `target`.
        assumed = Settings.model_construct(
            redis_url=target.url,
            redis_password=target.endpoint.password,
            tls_ca_file=target.endpoint.tls_files.ca_file,
            tls_cert_file=target.endpoint.tls_files.cert_file,
            tls_key_file=target.endpoint.tls_files.key_file,
            prefix=target.prefix,
            actor=target.actor,
            timeout_ms=target.timeout_ms,
            lease_ms=LONGEST_LEASE_MS,
        )
        return Controller(assumed, via="command"), error.violations
