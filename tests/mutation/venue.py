"""Breaks of the venue, of its client, and of the cleanup after dead workers."""

from __future__ import annotations

from tests.mutation.base import Mutant

_BOOK = "tests/unit/workers/test_venue_book.py"
_SERVER = "tests/unit/workers/test_venue_server.py"
_CLIENT = "tests/unit/workers/test_venue_client.py"
_CLEANUPS = "tests/unit/workers_rq/test_cleanups.py"
_VENUES = "tests/unit/workers_rq/test_venues.py"

MUTANTS = (
    # -- the venue --
    Mutant(
        name="fence-lowered",
        breaks="S16",
        path="workers/broker/paper.py",
        old="        self._fence = max(self._fence, epoch)\n",
        new="        self._fence = epoch\n",
        tests=("tests/unit/workers/test_paper_broker.py",),
        why="a late word about an older stop would let in what a newer one had shut out",
    ),
    Mutant(
        name="fence-told-lower-than-it-stands",
        breaks="S16",
        path="workers/venue/book.py",
        old="        fence = max(session.paper.fence, epoch)\n",
        new="        fence = epoch\n",
        tests=(_BOOK,),
        why="the record of the venue would show a fence that fell, and restore that one",
    ),
    Mutant(
        name="fence-forgotten-on-restart",
        breaks="S1 S16",
        path="workers/venue/book.py",
        old='            session.paper.raise_fence(int(event["fence"]))\n',
        new="",
        tests=(_BOOK, _SERVER),
        why="a venue that was restarted after FENCED would take the order of a worker that wakes",
    ),
    Mutant(
        name="replaced-owner-accepted",
        breaks="S1",
        path="workers/venue/book.py",
        old="        if owner < self.lowest_owner:\n",
        new="        if owner < 0:\n",
        tests=(_BOOK,),
        why="a worker thought dead would trade beside its successor",
    ),
    Mutant(
        name="cleanup-cancels-the-successors-orders",
        breaks="P11",
        path="workers/venue/book.py",
        old="if owner is None or whose <= owner]",
        new="if owner is None or whose >= 0]",
        tests=(_BOOK,),
        why="cleaning up after a dead worker would withdraw what its successor has working",
    ),
    Mutant(
        name="order-taken-before-it-is-recorded",
        breaks="S1",
        path="workers/venue/book.py",
        old="refusal = session.refusal(order, token, owner)\n",
        new="refusal = session.refusal(order, token, owner) or session.take(order, token, owner)\n",
        tests=(_BOOK,),
        why="an order would work that no record knows",
    ),
    Mutant(
        name="flood-keeps-the-others-waiting",
        breaks="L2",
        path="workers/venue/server.py",
        old="                await asyncio.sleep(0)  # a reader",
        new="                # a reader",
        tests=(_SERVER,),
        why="one client with much to ask would hold up a fence",
    ),
    Mutant(
        name="unread-answers-pile-up",
        breaks="L2",
        path="workers/venue/server.py",
        old="                    await asyncio.wait_for(writer.drain(), self._unread_s)\n",
        new="                    await writer.drain()\n",
        tests=(_SERVER,),
        why="who never reads would keep its connection and its megabyte for ever",
    ),
    Mutant(
        name="living-venue-displaced",
        breaks="S16",
        path="workers/venue/server.py",
        old="                probe.connect(path)\n",
        new='                probe.connect(path + ".not")\n',
        tests=(_SERVER,),
        why="a second venue on the same path would split the book, and with it the fences",
    ),
    # -- its client --
    Mutant(
        name="order-on-an-old-picture",
        breaks="P7",
        path="workers/venue/client.py",
        old="            if self._picture() != seen:\n",
        new="            if False:\n",
        tests=(_CLIENT,),
        why="after a lost answer the next order would go out though the position is another",
    ),
    Mutant(
        name="no-takeover",
        breaks="P11",
        path="workers/venue/client.py",
        old="            if not self._taken_over:\n",
        new="            if False:\n",
        tests=(_VENUES, _CLEANUPS, _CLIENT),
        why="a successor would trade beside what its predecessor left working",
    ),
    Mutant(
        name="unknown-order-not-in-flight",
        breaks="P7 S1",
        path="workers/broker/guarded.py",
        old="        except UnknownOutcome:\n            raise\n        except (NotOwner",
        new="        except (NotOwner",
        tests=(_CLIENT,),
        why="QUIET would be said while an order lies in the line of a venue that is frozen",
    ),
    Mutant(
        name="sinks-said-too-late",
        breaks="P6 S1",
        path="workers/agents.py",
        old="        agent.annotate(**info)\n        self._leave(_IDLE_DRAIN_S)\n        self._info = {}\n",
        new="        self._leave(_IDLE_DRAIN_S)\n        self._info = {}\n",
        tests=(_VENUES,),
        why="orders would go where the worker's entry does not say",
    ),
    # -- the cleanup --
    Mutant(
        name="death-not-noted",
        breaks="P11",
        path="workers/lua/requeue.lua",
        old="local last = ARGV[3] == 'abandoned' and redis.call('HGET', KEYS[9], ARGV[4])\n",
        new="local last = false\n",
        tests=(_CLEANUPS,),
        why="what a dead worker left would work on at the venue",
    ),
    Mutant(
        name="later-death-forgotten",
        breaks="P11",
        path="workers/lua/cleanup_done.lua",
        old="if noted > tonumber(ARGV[2]) then return 0 end\n",
        new="",
        tests=(_CLEANUPS,),
        why="a second death during the first one's cleanup would leave its orders working",
    ),
    Mutant(
        name="failed-cleanup-called-done",
        breaks="P11",
        path="workers/jobs.py",
        old="runtime.cleanups.failed(spec.engine, spec.owner, error.reason) if",
        new="runtime.cleanups.done(spec.engine, spec.owner) if",
        tests=(_CLEANUPS,),
        why="a venue that is away for a second would keep the orders for ever",
    ),
    Mutant(
        name="cleanup-not-taken-again",
        breaks="P11",
        path="workers/lua/cleanup_claim.lua",
        old="  if due <= now or due > now + ARGV[2] then\n",
        new="  if due == 0 then\n",
        tests=(_CLEANUPS,),
        why="the death of whoever took the cleanup would be the end of it",
    ),
    Mutant(
        name="engine-ends-with-orders-working",
        breaks="P11",
        path="workers/jobs.py",
        old="            _leave_nothing(spec.name, broker, runtime)\n",
        new="",
        tests=(_CLEANUPS, _VENUES),
        why="an engine that ends while its venue is away would leave its orders to nobody",
    ),
)
