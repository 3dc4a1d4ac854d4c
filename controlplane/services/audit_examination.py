"""The examination of the audit log: which entry was changed, removed, swapped or slipped in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from controlplane.store.audit_chain import GENESIS, MOST_UNSIGNED, Anchor, Entry, Signer, link
from controlplane.store.audit_sealing import BROKEN, Head
from controlplane.store.audit_walking import AuditWalk, Ends, Link
from protocol.ids import format_id

#: Problems that are told one by one; more are counted.
MOST_TOLD: Final = 20
_MOST_COMPARED: Final = 200

#: Called with how many of how many were looked at.
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Verdict:
    """What the examination found.

    Args:
        entries: how many links were looked at.
        waiting: how many entries wait to be sealed.
        anchors: how many anchors the chain was held against.
        problems: what is wrong, each a sentence that names the entry.
        remarks: what somebody should know and is not wrong.
    """

    entries: int = 0
    waiting: int = 0
    anchors: int = 0
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Mismatch:
    """A link that does not fit: what it follows, what it says, and what is there."""

    previous: bytes
    link: Link
    entry: Entry


async def examine(
    walk: AuditWalk, signer: Signer, anchors: Sequence[Anchor], *, after: int = 0, progress: Progress = lambda *_: None
) -> Verdict:
    """Hold the whole log against its chain, the chain against its signatures, and both against the anchors.

    Args:
        anchors: what was kept outside the database.
        after: links up to this number were looked at and accounted for; the chain is believed up to there.
        progress: told now and then.
    """
    ends = await walk.ends()
    examination = _Examination(signer, ends, anchors, after)
    total = max(0, ends.head.number - after) + ends.last_position
    number = after - 1 if after else 0  # the link at `after` itself only for its digest
    while page := await walk.links(number):
        for one in page:
            examination.take(one)
        number = page[-1].number
        progress(number - after, total)
    examination.end((await walk.ends()).head)
    position = 0
    while True:
        last, unsealed = await walk.unsealed(position)
        for entry in unsealed:
            if entry.position > ends.last_position:
                continue
            if ends.restored or (entry.xid, entry.position) > (ends.head.xid, ends.head.position):
                examination.verdict.waiting += 1
            else:
                examination.problem(
                    f"entry {_name(entry.id)} ({entry.action} of {entry.target}, dated {_when(entry.at)}) was slipped "
                    "in, or its seal was removed: it lies before the head of the chain and is not in it"
                )
        if last == position:
            break
        position = last
        progress(max(0, ends.head.number - after) + position, total)
    progress(total, total)
    return examination.finished()


class _Examination:
    def __init__(self, signer: Signer, ends: Ends, anchors: Sequence[Anchor], after: int) -> None:
        self.verdict = Verdict()
        self._signer = signer
        self._head = ends.head
        self._after = after
        self._previous = GENESIS
        self._number = max(0, after - 1)
        self._signed = after
        self._digest_of_head: bytes | None = GENESIS if ends.head.number == 0 else None
        self._mismatches: list[_Mismatch] = []
        self._more = 0
        self._foreign = 0
        self._anchors = self._believed(anchors)

    def problem(self, sentence: str) -> None:
        """Note something that is wrong."""
        if len(self.verdict.problems) < MOST_TOLD:
            self.verdict.problems.append(sentence)
        else:
            self._more += 1

    def take(self, one: Link) -> None:
        """Look at the next link."""
        if one.number <= self._after:
            self._previous, self._number = one.digest, one.number
            return
        self.verdict.entries += 1
        whole = one.number == self._number + 1
        first, last = max(self._number, self._after) + 1, one.number - 1
        if first <= last:
            gone = f"seal {first} is" if first == last else f"seals {first} to {last} are"
            self.problem(f"{gone} missing, before the one of entry {_name(one.entry_id)}")
        if one.entry is None:
            self.problem(f"entry {_name(one.entry_id)}, number {one.number} of the chain, was deleted")
        elif whole and link(self._previous, one.entry) != one.digest:
            if len(self._mismatches) < _MOST_COMPARED:
                self._mismatches.append(_Mismatch(self._previous, one, one.entry))
            else:
                self._more += 1
        elif one.entry.action == BROKEN:
            self.verdict.remarks.append(
                f"at {_when(one.entry.at)} the sealer found the chain broken and said so in number {one.number}: "
                f"{one.entry.after}"
            )
        self._check_signature(one)
        for anchor in self._anchors.pop(one.number, []):
            self.verdict.anchors += 1
            if anchor.digest != one.digest:
                self.problem(
                    f"the chain up to number {one.number} (entry {_name(one.entry_id)}) is not the one of the anchor "
                    f"of {_when(anchor.at)}: it was written anew"
                )
        if one.number == self._head.number:
            self._digest_of_head = one.digest
        self._previous, self._number = one.digest, one.number

    def end(self, head: Head) -> None:
        """All links were taken; `head` is how far the chain goes by now."""
        self._tell_mismatches()
        if self._number > head.number:
            self.problem(
                f"the chain goes to number {self._number}, its signed head to {head.number}: the head was set back, or "
                "seals were added"
            )
        if self._number < self._head.number and self._after <= self._head.number:
            self.problem(
                f"the tail was cut: the chain ends at number {self._number}, its head says {self._head.number}, so "
                f"{self._head.number - self._number} entries are gone"
            )
        elif self._digest_of_head is not None and self._digest_of_head != self._head.digest:
            self.problem(f"the head is not of the chain's link {self._head.number}: one of both was changed")
        self._check_head()
        for number, anchors in sorted(self._anchors.items()):
            if number > self._number:
                self.verdict.anchors += len(anchors)
                self.problem(
                    f"the tail was cut: the anchor of {_when(anchors[-1].at)} attests to {number} entries, the chain "
                    f"ends at number {self._number}"
                )

    def finished(self) -> Verdict:
        """What was found."""
        if self._more:
            self.verdict.problems.append(f"… and {self._more} more")
        if self._foreign:
            self.verdict.remarks.append(
                f"{self._foreign} signatures are by keys that are not among the master keys; the newest one covers "
                "what they covered"
            )
        return self.verdict

    def _believed(self, anchors: Sequence[Anchor]) -> dict[int, list[Anchor]]:
        by_number: dict[int, list[Anchor]] = {}
        for anchor in anchors:
            if self._signer.check_anchor(anchor) is False:
                self.problem(
                    f"the anchor of {_when(anchor.at)}, number {anchor.number}, is forged: its signature is wrong"
                )
            elif anchor.number > self._after:
                by_number.setdefault(anchor.number, []).append(anchor)
        return by_number

    def _check_signature(self, one: Link) -> None:
        if one.signature is None:
            if one.number - self._signed == MOST_UNSIGNED:
                self.problem(f"no signature up to number {one.number}: those since {self._signed} were removed")
            return
        right = self._signer.check_seal(one.number, one.digest, one.signature)
        if right is None:
            self._foreign += 1
        elif not right:
            self.problem(
                f"the signature at number {one.number} (entry {_name(one.entry_id)}) is wrong: the chain was written "
                f"anew somewhere between number {self._signed + 1} and {one.number}"
            )
        self._signed = one.number

    def _check_head(self) -> None:
        head = self._head
        if head.signature is None or head.signed_at is None:
            if head.number:
                self.problem(f"the head at number {head.number} has no signature")
            return
        right = self._signer.check_head(
            head.number, head.digest, head.xid, head.position, head.signed_at, head.signature
        )
        if right is None:
            self.problem(
                f"the head at number {head.number} was signed by a key that is not among the master keys: put that key "
                "at the end of HUB_MASTER_KEY, or restore the state folder of this database"
            )
        elif not right:
            self.problem(f"the signature of the head at number {head.number} is wrong: head or chain was changed")

    def _tell_mismatches(self) -> None:
        """Two entries that fit in each other's places were swapped; what fits nowhere was edited."""
        swapped: set[int] = set()
        for one in self._mismatches:
            if one.link.number in swapped:
                continue
            for other in self._mismatches:
                if other is not one and _fits(one, other.entry):
                    swapped |= {one.link.number, other.link.number}
                    self.problem(
                        f"entries {_name(one.entry.id)} and {_name(other.entry.id)}, numbers {one.link.number} and "
                        f"{other.link.number}, were swapped"
                    )
                    break
            else:
                self.problem(
                    f"entry {_name(one.entry.id)}, number {one.link.number} ({one.entry.action} of {one.entry.target}, "
                    f"dated {_when(one.entry.at)}), was edited, or its seal was"
                )


def _fits(gap: _Mismatch, other: Entry) -> bool:
    """Whether what was in a place is now in another entry's: as a whole, all but its name and place, or its place."""
    here = gap.entry
    told = (
        other,
        other._replace(id=here.id, position=here.position, xid=here.xid),
        here._replace(position=other.position, xid=other.xid),
    )
    return any(link(gap.previous, entry) == gap.link.digest for entry in told)


def _name(key: UUID) -> str:
    return format_id("aud", key)


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
