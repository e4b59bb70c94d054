"""A paper venue in a process of its own: orders outlive the worker that sent them, and old ones are refused there.

A worker that is frozen, killed or cut off leaves its working orders behind, as it would at a broker. This process is
what did not pause: it holds the book, refuses epochs below its fence and owners that were replaced, and writes down
every arrival.
"""

from workers.venue.book import Book
from workers.venue.client import VenueBroker
from workers.venue.server import RunningVenue, VenueServer, running

__all__ = ["Book", "RunningVenue", "VenueBroker", "VenueServer", "running"]
