"""Real processes for the tests from end to end."""

from __future__ import annotations

from tests.end_to_end.fixtures import ground, module_hub, open_hub, own_hub, own_world, world

__all__ = ["ground", "module_hub", "open_hub", "own_hub", "own_world", "world"]
