"""What a job says, as JSON checked at the door: which engine to place, which orders to cancel, which order is
intended.

Everything that comes off the queue was written by somebody else. Unknown fields are refused rather than ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from killswitch import InvalidInput, Scope
from workers.wording import Violation, violations

__all__ = ["CancelSpec", "EngineSpec", "FeedSpec", "IntentSpec", "ReplaySpec", "SyntheticSpec", "WrongSpec", "parse"]


def _scope(text: str) -> str:
    return str(Scope.parse(text))


EngineName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Symbol = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,31}$")]
ScopeText = Annotated[str, AfterValidator(_scope)]
_ENTRIES_HELD = 5
_Model = TypeVar("_Model", bound=BaseModel)
_CALLED = {"EngineSpec": "the engine", "CancelSpec": "the cancelling", "IntentSpec": "the order"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReplaySpec(_Strict):
    """Ticks from recorded files, as fast as possible or at a multiple of the recorded speed.

    `venue` says where a file comes from whose name does not tell. The first `lead` ticks come at once, as history.
    """

    kind: Literal["replay"]
    files: tuple[str, ...] = Field(min_length=1)
    venue: str | None = None
    speed: Literal["max"] | Annotated[float, Field(gt=0, le=1000)] = "max"
    lead: Annotated[int, Field(ge=0)] = 0


class SyntheticSpec(_Strict):
    """Ticks from a seeded random walk; `count` None goes on until the engine is stopped."""

    kind: Literal["synthetic"]
    seed: int = 1
    count: Annotated[int, Field(ge=1)] | None = None
    speed: Literal["max"] | Annotated[float, Field(gt=0, le=1000)] = "max"
    lead: Annotated[int, Field(ge=0)] = 0


FeedSpec = Annotated[ReplaySpec | SyntheticSpec, Field(discriminator="kind")]


class EngineSpec(_Strict):
    """One engine: `name` is unique in the fleet (ownership goes by it), `strategy` says what decides, `quantity` is the
    size of one entry in units.

    At most `max_position` units are held (default five entries); the engine follows `scopes` besides its worker's. With
    `broker` it runs only where its orders go there: `paper` inside the worker, else the name of a venue process.
    """

    name: EngineName
    symbol: Symbol
    feed: FeedSpec
    scopes: tuple[ScopeText, ...] = ()
    strategy: Literal["mean-reversion"] = "mean-reversion"
    broker: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | None = None
    quantity: Annotated[int, Field(ge=1, le=10**9)] = 1000
    max_position: Annotated[int, Field(ge=1, le=10**10)] | None = None
    events: str | None = Field(
        None, description="File that the engine's events are appended to, one JSON object a line."
    )

    @property
    def most_held(self) -> int:
        """The units that are held at most."""
        return self.max_position or self.quantity * _ENTRIES_HELD


class CancelSpec(_Strict):
    """Cancel whatever `engine` (or the account of submitted orders of that name) left working at its venue.

    With `owner`, an ownership token: only what owners up to it left, and whatever they still send is refused.
    """

    engine: EngineName
    owner: Annotated[int, Field(ge=0, le=2**53)] | None = None


class IntentSpec(_Strict):
    """An order of `account` that was decided under `epoch`: to be sent now, or never if the epoch has moved on."""

    account: EngineName = "orders"
    epoch: Annotated[int, Field(ge=1)]
    client_id: Annotated[str, Field(min_length=1, max_length=64)]
    symbol: Symbol
    side: Literal["BUY", "SELL"]
    quantity: Annotated[int, Field(ge=1, le=10**9)]
    limit: Annotated[float, Field(gt=0)] | None = None
    reduces: bool = False


class WrongSpec(InvalidInput):
    """What a job says breaks rules: `violations` has each with its place in the document."""

    def __init__(self, what: str, found: tuple[Violation, ...]) -> None:
        super().__init__(what, found)
        self.what = what
        self.violations = found

    def __str__(self) -> str:
        return "; ".join(f"{one.place or self.what}: {one.text}" for one in self.violations)


def parse(model: type[_Model], document: Any) -> _Model:
    """`document` as `model`.

    Raises:
        WrongSpec: it breaks the rules; the message has every violation.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise WrongSpec(_CALLED.get(model.__name__, "the job"), violations(error)) from None
