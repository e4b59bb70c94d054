"""Where orders go: a protocol, a paper venue, and the guard through which every order passes."""

from workers.broker.base import Broker, BrokerError, DuplicateOrder, StaleOwner, StaleToken, UnknownOutcome
from workers.broker.guarded import Gate, GuardedBroker, NotOwner, Sent
from workers.broker.paper import PaperBroker

__all__ = [
    "Broker",
    "BrokerError",
    "DuplicateOrder",
    "Gate",
    "GuardedBroker",
    "NotOwner",
    "PaperBroker",
    "Sent",
    "StaleOwner",
    "StaleToken",
    "UnknownOutcome",
]
