"""Why the demo cannot go on, in a sentence for the person who started it."""

from __future__ import annotations


class DemoFailed(Exception):
    """The demo ends; the message says why and what to do."""
