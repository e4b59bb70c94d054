"""The phase that changes the switch, on real servers: what it loads, what it permits, whom it never overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from killswitch import ROLES, AclUser, Controller, Grade, Preflight, Settings
from killswitch.store.functions import LIBRARY_VERSION, library_source
from killswitch.store.wire import Wire
from ops.console import Console
from ops.exit_codes import Exit
from ops.launching import findings
from ops.launching.deployment import Asked, Deployment, LaunchStopped
from ops.launching.findings import Permission
from ops.launching.fleet_file import Engine, Fleet, Loaded
from ops.launching.phases import initialise, reaching
from ops.rehearsal.places import Target, open_places
from ops.rehearsal.plan import RehearsalError
from tests.support.roles import SECRET_HASH
from tests.support.server import RealServer
from workers.settings import load

ALICE = Permission("alice", "go live")


class Launch:
    """Phase 3 against one server."""

    def __init__(self, server: RealServer, folder: Path) -> None:
        self.server = server
        self.settings = Settings(redis_url=server.unix_url, actor="tester")
        self.control = Controller(self.settings)
        self._folder = folder

    def initialise(self, permission: Permission | None, *, loaded: bool) -> Deployment:
        """Runs it; `loaded`: what preflight found of the library."""
        fleet = Fleet(engine=(Engine.model_validate({"name": "e1", "symbol": "EURUSD"}),))
        file = Loaded(self._folder / "fleet.toml", fleet, "")
        asked = Asked(file, self.settings, load(), permission, False, 5.0, self._folder)
        deployment = Deployment(asked, 0, library_current=loaded)
        with reaching():
            initialise(deployment, deployment.phases["initialise"], Console())
        return deployment

    def become(self, role: str) -> None:
        """From now on the launch runs as a user of this role."""
        made = AclUser(ROLES[role], role, "killswitch", password_hash=SECRET_HASH)
        self.server.client().execute_command(*made.command.split())
        url = self.server.unix_url.replace("unix://", f"unix://{role}:secret@")
        self.settings = Settings(redis_url=url, actor="tester")

    @property
    def now(self) -> tuple[str, int, str]:
        """What the switch says, its epoch, and who is on record."""
        switch = self.control.status().switch
        return switch.text, switch.epoch, switch.actor


@pytest.fixture
def fresh(real_server: RealServer, tmp_path: Path) -> Launch:
    """A server that nobody initialised."""
    return Launch(real_server, tmp_path)


def test_without_permission_a_new_switch_is_loaded_and_stays_engaged(fresh: Launch) -> None:
    """Nothing can trade, and the report has the state before and after."""
    done = fresh.initialise(None, loaded=False)
    assert fresh.now == ("ENGAGED initialised", 1, "tester")
    found = done.phases["initialise"].found
    assert (found["before"]["epoch"], found["after"]["epoch"], found["created"]) == (0, 1, True)
    assert (found["library"], done.undo) == ("loaded", [])


def test_permission_opens_a_new_switch_under_the_names_that_were_given(fresh: Launch) -> None:
    """Who and why are on record, and how to take it back is known."""
    done = fresh.initialise(ALICE, loaded=False)
    assert fresh.now == ("SAFE", 2, "alice")
    assert fresh.control.status().switch.why == "go live"
    assert done.phases["initialise"].found["library"] == "loaded"
    assert done.undo == ['killswitch engage --reason "launch taken back"']


def test_a_library_of_another_release_is_never_replaced_by_a_launch(fresh: Launch) -> None:
    """It serves every prefix of the server: a fleet under another one would close, and the members of this one tell
    nothing of it."""
    older = library_source().replace(f"VERSION = {LIBRARY_VERSION}\n", f"VERSION = {LIBRARY_VERSION - 1}\n", 1)
    client = fresh.server.client()
    client.execute_command("FUNCTION", "LOAD", older)
    before = client.execute_command("FUNCTION", "LIST", "WITHCODE")
    both = f"version {LIBRARY_VERSION - 1}, this release needs {LIBRARY_VERSION}"
    for settings in (fresh.settings, Settings(redis_url=fresh.settings.redis_url, prefix="another")):
        looked = Preflight(settings, only=("library",), before_init=True).run()
        assert [(one.verdict, one.found) for one in looked.findings] == [(Grade.FAIL, both)]
        assert "every fleet of this server" in looked.findings[0].remedy
    with pytest.raises(RehearsalError, match=both), open_places(Target(fresh.settings, fresh.server.url, loaded=False)):
        pytest.fail("the rehearsal goes on")
    assert client.execute_command("FUNCTION", "LIST", "WITHCODE") == before
    assert not client.keys("*")
    client.execute_command("FUNCTION", "LOAD", "REPLACE", library_source())
    with open_places(Target(fresh.settings, fresh.server.url, loaded=False)) as places:
        assert Controller(places.settings).status().switch.text == "ENGAGED initialised"


def test_an_operator_who_may_not_load_initialises_where_the_library_is_there(fresh: Launch) -> None:
    """Loading needs a right of its own; without it, and without a library, nothing is done."""
    fresh.become("operator")
    with pytest.raises(LaunchStopped, match="permission"):
        fresh.initialise(ALICE, loaded=False)
    assert fresh.now[:2] == ("(absent)", 0)
    fresh.server.client().execute_command("FUNCTION", "LOAD", library_source())
    done = fresh.initialise(ALICE, loaded=True)
    assert fresh.now == ("SAFE", 2, "alice")
    assert "may not load it" in done.phases["initialise"].found["library"]


def test_somebodys_engagement_is_never_undone_unless_its_epoch_was_named(fresh: Launch) -> None:
    """--permit alone stops; the epoch that was looked at opens; an older one does not."""
    fresh.control.init()
    engaged = fresh.control.engage("fat finger", "bob").epoch
    with pytest.raises(LaunchStopped, match="somebody's decision"):
        fresh.initialise(ALICE, loaded=True)
    with pytest.raises(LaunchStopped, match="not the epoch that was named"):
        fresh.initialise(Permission("alice", "go live", engaged - 1), loaded=True)
    assert fresh.now == ("ENGAGED fat finger", engaged, "bob")
    fresh.initialise(Permission("alice", "checked", engaged), loaded=True)
    assert fresh.now == ("SAFE", engaged + 1, "alice")
    again = fresh.initialise(Permission("alice", "again"), loaded=True)
    assert (fresh.now[1], again.undo) == (engaged + 1, [])


@pytest.mark.parametrize("role", ["launcher", "operator"])
def test_an_engagement_at_the_moment_of_initialising_is_not_opened_again(
    role: str, fresh: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking and engaging are two steps: what lay under the stop tells that somebody was there between them."""
    fresh.server.client().execute_command("FUNCTION", "LOAD", library_source())
    fresh.become(role)
    call = Wire.call

    def late(wire: Wire, *words: str | bytes | int) -> object:
        if words[:2] == ("FCALL", "ks_engage"):  # after the look, before the stop
            fresh.server.raw_set("killswitch:state", "ENGAGED bad prices")
        return call(wire, *words)

    monkeypatch.setattr(Wire, "call", late)
    with pytest.raises(LaunchStopped, match="somebody wrote the switch at the same moment: ENGAGED bad prices"):
        fresh.initialise(ALICE, loaded=True)
    assert fresh.now[0] == "ENGAGED initialised"


def test_an_engagement_between_the_look_and_the_permission_wins(fresh: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The permission names the epoch that was looked at, so it cannot undo a newer one."""
    fresh.control.init()
    reset = Controller.reset

    def late(control: Controller, epoch: int, reason: str, actor: str | None = None) -> object:
        fresh.control.engage("fat finger", "bob")
        return reset(control, epoch, reason, actor)

    monkeypatch.setattr(Controller, "reset", late)
    with pytest.raises(LaunchStopped, match="the switch was changed meanwhile: it is at epoch 2 now, not 1"):
        fresh.initialise(ALICE, loaded=True)
    assert fresh.now == ("ENGAGED fat finger", 2, "bob")


def test_where_two_persons_have_to_permit_the_second_launch_does(fresh: Launch) -> None:
    """S7: the first ends as a first approval does, with all the rest done, and says what is to follow."""
    fresh.settings = Settings(redis_url=fresh.server.unix_url, actor="tester", persons=2)
    with pytest.raises(LaunchStopped, match=r"alice has approved \(trading\)") as caught:
        fresh.initialise(ALICE, loaded=False)
    assert (caught.value.exit_code, len(caught.value.details)) == (Exit.PENDING, 1)
    assert fresh.now[:2] == ("ENGAGED initialised", 1)
    fresh.initialise(Permission("bob", "go live"), loaded=True)
    assert fresh.now[0] == "SAFE"
    assert fresh.control.status().switch.why == "approved by alice: go live"


def test_a_switch_that_trades_stops_a_launch_that_was_not_told_to_permit(fresh: Launch) -> None:
    """Engines that are placed now would trade at once."""
    fresh.initialise(ALICE, loaded=False)
    with pytest.raises(LaunchStopped, match="engines would trade at once"):
        fresh.initialise(None, loaded=True)
    assert findings.permission(fresh.control.status(), None).remedy.startswith("engage first")
