"""The contract of commands and of messages: promised, acknowledged, answered once, expired as `void`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from actors.ports import Issued, Progress
from protocol.faults import Conflict, NotFound
from protocol.ids import parse_id
from protocol.objects import UsageBucket
from protocol.tenant import (
    Activity,
    BackupStatus,
    Command,
    CommandResult,
    ConfigApplied,
    ImageUpdate,
    TenantMessage,
    Usage,
    to_tenant,
)
from protocol.words import BackupOutcome, CommandResultStatus, CommandStatus
from tests.contract.shelves import ADA, NOW, Shelf, Tenant, after, asked, eventually, registered, say, wish

OK = CommandResultStatus.SUCCEEDED
HOUR = datetime(2026, 3, 15, 13, tzinfo=UTC)


async def issue(shelf: Shelf, tenant: Tenant, payload: Any = None, **lasts: float) -> Issued:
    return await shelf.book.issue_command(
        tenant.order_id,
        command_type="RESTART_SERVICE",
        payload=payload or {},
        expires_at=after(**(lasts or {"hours": 1})),
        author=ADA,
        at=NOW,
    )


def id_of(issued: Issued) -> UUID:
    return parse_id("cmd", issued.command.id)


async def status(shelf: Shelf, tenant: Tenant, issued: Issued) -> CommandStatus:
    return (await shelf.command(tenant, issued.command.id)).status


async def becomes(shelf: Shelf, tenant: Tenant, issued: Issued, wanted: CommandStatus) -> None:
    async def reached() -> bool:
        return await status(shelf, tenant, issued) is wanted

    await eventually(reached)


async def kinds(shelf: Shelf, tenant: Tenant) -> list[str]:
    return [one.kind for one in await shelf.book.deliveries(tenant.order_id, after=0, limit=99, limit_bytes=10**7)]


async def test_a_command_is_kept_and_promised(shelf: Shelf, tenant: Tenant) -> None:
    issued = await issue(shelf, tenant, {"service": "nextcloud", "ä": [1, 2.5, None]})
    assert (issued.command.status, issued.command.seq) == (CommandStatus.QUEUED, 1)
    frame = to_tenant.decode(issued.delivery.frame)
    assert isinstance(frame, Command)
    assert (frame.seq, frame.id, frame.command_type) == (1, issued.command.id, "RESTART_SERVICE")
    assert msgspec.json.decode(frame.payload) == {"service": "nextcloud", "ä": [1, 2.5, None]}
    assert (frame.issued_at, frame.expires_at) == (NOW, after(hours=1))
    kept = await shelf.command(tenant, issued.command.id)
    assert msgspec.json.encode(kept) == msgspec.json.encode(issued.command)
    assert (await shelf.book.load(tenant.order_id)).next_due == after(hours=1)
    assert (await shelf.audit(tenant))[-1] == "command.issued"


async def test_nobody_is_there_to_command_before_the_registration(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        await issue(shelf, await shelf.open_order())


async def test_sent_then_acknowledged(shelf: Shelf, tenant: Tenant) -> None:
    first, second = await issue(shelf, tenant), await issue(shelf, tenant)
    shelf.book.progress(Progress(tenant.order_id, 1, 0, NOW))
    await becomes(shelf, tenant, first, CommandStatus.SENT)
    assert await status(shelf, tenant, second) is CommandStatus.QUEUED
    shelf.book.progress(Progress(tenant.order_id, 2, 2, after(seconds=1)))
    await becomes(shelf, tenant, second, CommandStatus.ACKNOWLEDGED)
    kept = await shelf.command(tenant, first.command.id)
    assert (kept.status, kept.sent_at, kept.acknowledged_at) == (CommandStatus.ACKNOWLEDGED, NOW, after(seconds=1))
    assert (await shelf.book.load(tenant.order_id)).next_due is None


async def test_a_command_nobody_took_expires_as_void(shelf: Shelf, tenant: Tenant) -> None:
    short, long = await issue(shelf, tenant, seconds=60), await issue(shelf, tenant)
    assert (await shelf.book.expire(tenant.order_id, at=after(seconds=59))).commands == []
    expired = await shelf.book.expire(tenant.order_id, at=after(seconds=60))
    assert (expired.commands, expired.deliveries, expired.next_due) == ([short.command.id], [], after(hours=1))
    assert await status(shelf, tenant, short) is CommandStatus.EXPIRED
    assert await status(shelf, tenant, long) is CommandStatus.QUEUED
    assert await kinds(shelf, tenant) == ["void", "command"]
    assert (await shelf.audit(tenant))[-1] == "command.expired"


async def test_an_acknowledged_command_does_not_expire(shelf: Shelf, tenant: Tenant) -> None:
    issued = await issue(shelf, tenant, seconds=60)
    shelf.book.progress(Progress(tenant.order_id, 1, 1, NOW))
    await becomes(shelf, tenant, issued, CommandStatus.ACKNOWLEDGED)
    assert (await shelf.book.expire(tenant.order_id, at=after(hours=2))).commands == []
    assert await kinds(shelf, tenant) == ["command"]
    with pytest.raises(Conflict):
        await shelf.book.cancel_command(tenant.order_id, id_of(issued), author=ADA, at=NOW)


async def test_a_command_is_withdrawn_once_and_only_by_its_own_order(shelf: Shelf, tenant: Tenant) -> None:
    issued, other = await issue(shelf, tenant), await registered(shelf)
    with pytest.raises(NotFound):
        await shelf.book.cancel_command(other.order_id, id_of(issued), author=ADA, at=NOW)
    cancelled = await shelf.book.cancel_command(tenant.order_id, id_of(issued), author=ADA, at=NOW)
    assert cancelled.status is CommandStatus.CANCELLED
    with pytest.raises(Conflict) as refused:
        await shelf.book.cancel_command(tenant.order_id, id_of(issued), author=ADA, at=NOW)
    assert refused.value.details.status is CommandStatus.CANCELLED
    assert await kinds(shelf, tenant) == ["void"]
    assert (await shelf.audit(tenant)).count("command.cancelled") == 1


async def test_what_the_wrapper_cannot_take_is_rejected(shelf: Shelf, tenant: Tenant) -> None:
    first, second = await issue(shelf, tenant), await issue(shelf, tenant)
    await shelf.book.reject(tenant.order_id, [1], reason="not understood", at=NOW)
    await shelf.book.reject(tenant.order_id, [1], reason="not understood", at=NOW)
    kept = await shelf.command(tenant, first.command.id)
    assert (kept.status, kept.output) == (CommandStatus.REJECTED, "not understood")
    assert await status(shelf, tenant, second) is CommandStatus.QUEUED
    assert await kinds(shelf, tenant) == ["void", "command"]
    assert (await shelf.audit(tenant)).count("command.rejected") == 1


@pytest.mark.parametrize("result", list(CommandResultStatus))
async def test_a_result_ends_a_command_and_its_promise(
    shelf: Shelf, tenant: Tenant, result: CommandResultStatus
) -> None:
    issued = await issue(shelf, tenant)
    said = CommandResult("r1", issued.command.id, result, output=None)
    assert (await say(shelf, tenant, said, at=after(seconds=3))).code is None
    kept = await shelf.command(tenant, issued.command.id)
    assert kept.status.replace("_", "").lower() == result.value.lower()
    assert (kept.finished_at, kept.acknowledged_at, kept.output) == (after(seconds=3), after(seconds=3), None)
    assert await kinds(shelf, tenant) == ["void"]
    assert (await shelf.book.load(tenant.order_id)).next_due is None


async def test_the_first_result_counts(shelf: Shelf, tenant: Tenant) -> None:
    issued = await issue(shelf, tenant)
    first = CommandResult("r1", issued.command.id, OK, "done", started_at=NOW, finished_at=after(seconds=1))
    late = CommandResult("r2", issued.command.id, CommandResultStatus.FAILED, "no")
    for said in (first, late, first):
        assert (await say(shelf, tenant, said)).code is None
    kept = await shelf.command(tenant, issued.command.id)
    assert (kept.status, kept.output, kept.finished_at) == (CommandStatus.SUCCEEDED, "done", after(seconds=1))


async def test_a_result_is_the_truth_also_of_what_was_given_up(shelf: Shelf, tenant: Tenant) -> None:
    expired, cancelled = await issue(shelf, tenant, seconds=1), await issue(shelf, tenant)
    await shelf.book.expire(tenant.order_id, at=after(seconds=1))
    await shelf.book.cancel_command(tenant.order_id, id_of(cancelled), author=ADA, at=NOW)
    for number, issued in enumerate((expired, cancelled)):
        await say(shelf, tenant, CommandResult(f"r{number}", issued.command.id, OK))
        assert await status(shelf, tenant, issued) is CommandStatus.SUCCEEDED


async def test_a_result_of_nobodys_command_is_refused_for_good(shelf: Shelf, tenant: Tenant) -> None:
    other = await registered(shelf)
    theirs = await issue(shelf, other)
    for number, name in enumerate((theirs.command.id, "cmd_nonsense", "cmd_01hzzzzzzzzzzzzzzzzzzzzzzz")):
        taken = await say(shelf, tenant, CommandResult(f"r{number}", name, OK))
        assert (taken.code, taken.temporary) == ("NOT_FOUND", False)
    assert await status(shelf, other, theirs) is CommandStatus.QUEUED


def every_message(message_id: str) -> list[TenantMessage]:
    bucket = UsageBucket("it-admin", "m", HOUR, tokens_input=5)
    return [
        ConfigApplied(message_id, 1, "hash", ok=True),
        ConfigApplied(message_id, 1, "hash", ok=False, error=None),
        Usage(message_id, [bucket]),
        BackupStatus(message_id, BackupOutcome.SUCCESS),
        BackupStatus(message_id, BackupOutcome.FAILED, NOW, NOW, 2**62, "disk full"),
        Activity(message_id, "it-admin", "chat", ""),
        Activity(message_id, "it-admin", "chat", "s", NOW, msgspec.Raw(b'{"nul": "\\u0000"}')),
        ImageUpdate(message_id, "nextcloud", "available"),
        ImageUpdate(message_id, "nextcloud", "available", "sha256:1", NOW),
    ]


@pytest.mark.parametrize("position", range(len(every_message("m"))))
async def test_every_report_is_taken_once_with_all_that_may_be_missing(
    shelf: Shelf, tenant: Tenant, position: int
) -> None:
    message = every_message("m1")[position]
    first = await say(shelf, tenant, message)
    assert (first.code, first.repeated) == (None, False), first.reason
    again = await say(shelf, tenant, message, at=after(hours=1))
    assert (again.code, again.repeated) == (None, True)


async def test_an_id_belongs_to_the_kind_of_message_that_came_first(shelf: Shelf, tenant: Tenant) -> None:
    await say(shelf, tenant, BackupStatus("m1", BackupOutcome.SUCCESS))
    stolen = await say(shelf, tenant, wish("m1"))
    assert (stolen.code, stolen.approval) == ("CONFLICT", None)
    assert (await shelf.book.load(tenant.order_id)).next_due is None, "no approval came of it"
    await asked(shelf, tenant, message_id="m2")
    lost = await say(shelf, tenant, Usage("m2", [UsageBucket("a", "m", HOUR)]))
    assert lost.code == "CONFLICT", "accepted would mean lost"


@pytest.mark.parametrize(
    "message",
    [
        ConfigApplied("m1", 2**31, "hash", ok=True),
        ConfigApplied("m1", 2**70, "hash", ok=True),
        BackupStatus("m1", BackupOutcome.SUCCESS, detail="a\0b"),
        BackupStatus("m1", BackupOutcome.SUCCESS, size_bytes=2**64),
        Activity("m1", "a\0", "k", "s"),
        ImageUpdate(
            "m1",
            "i",
            "s",
            created=datetime(1, 1, 1, tzinfo=UTC).replace(
                tzinfo=msgspec.json.decode(b'"2020-01-01T00:00:00+14:00"', type=datetime).tzinfo
            ),
        ),
    ],
    ids=["int4", "int8", "nul", "size", "name", "time"],
)
async def test_what_cannot_be_stored_is_refused_for_good_and_harms_no_neighbour(
    shelf: Shelf, tenant: Tenant, message: TenantMessage
) -> None:
    taken = await say(shelf, tenant, message)
    assert (taken.code, taken.temporary) == ("VALIDATION_ERROR", False)
    assert (await say(shelf, tenant, BackupStatus("m2", BackupOutcome.SUCCESS))).code is None
