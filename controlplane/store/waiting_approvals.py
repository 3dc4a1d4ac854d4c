"""Approvals that wait, as this process has seen them: what is PENDING does not change, so it need not be read again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple
from uuid import UUID

from actors.people import Scope
from protocol.ids import ApprovalId
from protocol.objects import CommandApproval
from protocol.words import ApprovalStatus

#: How many are kept, and how many bytes of them.
MOST: Final = 4_000
MOST_BYTES: Final = 8 * 1024 * 1024


class _Known(NamedTuple):
    approval: CommandApproval
    customer_id: UUID
    size_bytes: int


class WaitingApprovals:
    """Remembers pending approvals as they are asked for, listed and read; those that came first are let go first.

    A memory only: another node may have settled one meanwhile. Whoever goes on from here still asks the database, by a
    statement that demands PENDING, and its owner, in its WHERE.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[ApprovalId, _Known] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, approval: CommandApproval, customer_id: UUID) -> None:
        """Keep an approval as the database gave it, unless it is settled."""
        if approval.status is not ApprovalStatus.PENDING:
            self.forget(approval.id)
        elif approval.id not in self._known:
            size_bytes = len(bytes(approval.tool_args)) + len(approval.human_readable) + len(approval.impact or "")
            self._known[approval.id] = _Known(approval, customer_id, size_bytes)
            self._bytes += size_bytes
            while len(self._known) > MOST or self._bytes > MOST_BYTES:
                self._bytes -= self._known.popitem(last=False)[1].size_bytes

    def find(self, approval_id: ApprovalId, *, scope: Scope) -> CommandApproval | None:
        """An approval that is known to have waited within the scope; None says nothing about it."""
        known = self._known.get(approval_id)
        if known is None or scope.customer_id not in (None, known.customer_id):
            return None
        return known.approval

    def forget(self, approval_id: ApprovalId) -> None:
        """It waits no more."""
        known = self._known.pop(approval_id, None)
        if known is not None:
            self._bytes -= known.size_bytes
