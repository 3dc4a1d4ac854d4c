"""Death watch: who wants to hear of whose end."""

from __future__ import annotations

from actors.runtime.ref import Ref


class Watches:
    """Pairs of watcher and watched, found from both sides."""

    def __init__(self) -> None:
        self._watchers: dict[Ref, dict[Ref, None]] = {}
        self._watched: dict[Ref, dict[Ref, None]] = {}

    def add(self, watcher: Ref, target: Ref) -> None:
        """Twice is once."""
        self._watchers.setdefault(target, {})[watcher] = None
        self._watched.setdefault(watcher, {})[target] = None

    def remove(self, watcher: Ref, target: Ref) -> None:
        _unlink(self._watchers, target, watcher)
        _unlink(self._watched, watcher, target)

    def ended(self, ref: Ref) -> list[Ref]:
        """Forget all that `ref` watched and all who watched it; return the latter, in the order they came."""
        for target in list(self._watched.get(ref, ())):
            self.remove(ref, target)
        watchers = list(self._watchers.get(ref, ()))
        for watcher in watchers:
            self.remove(watcher, ref)
        return watchers

    def __len__(self) -> int:
        return sum(len(targets) for targets in self._watched.values())


def _unlink(pairs: dict[Ref, dict[Ref, None]], one: Ref, other: Ref) -> None:
    others = pairs.get(one)
    if others is not None:
        others.pop(other, None)
        if not others:
            del pairs[one]
