"""The audit log's chain on a real PostgreSQL: what is sealed, and that every kind of tampering is found and named."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trio
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from controlplane.logs import scrub
from controlplane.secret import Secret
from controlplane.services.audit_examination import Verdict, examine
from controlplane.services.audit_sealer import AuditSealer
from controlplane.services.audit_witness import AuditWitness
from controlplane.store import audit
from controlplane.store.audit_chain import Anchor, Signer, anchors_in
from controlplane.store.audit_sealing import AuditSealing, Sealed
from controlplane.store.audit_walking import AuditWalk
from controlplane.store.database import Database
from protocol.ids import format_id
from tests.people import TESTER, SetClock

NOW = SetClock().now()
OLD_KEY, NEW_KEY = (Secret(base64.urlsafe_b64encode(bytes([byte]) * 32).decode()) for byte in (0, 1))
SIGNER = Signer([OLD_KEY])
NEWER = Signer([NEW_KEY, OLD_KEY])


async def write(database: Database, *actions: str) -> None:
    for action in actions:
        await database.write(lambda connection, a=action: audit.record(connection, TESTER, a, "thing_1", at=NOW))


async def seal(database: Database, signer: Signer = SIGNER, most: int = 500) -> Sealed:
    sealed = await AuditSealing(database, signer).seal(at=NOW, most=most)
    assert sealed is not None
    return sealed


async def verdict(database: Database, *anchors: Anchor, after: int = 0) -> Verdict:
    return await examine(AuditWalk(database), SIGNER, anchors, after=after)


async def tamper(database: Database, *statements: str) -> None:
    """Change what is there as a superuser does, past every trigger."""

    def change(connection: Connection) -> None:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement))

    await database.write(change)


async def chain(database: Database, count: int = 6) -> list[str]:
    """A sealed chain of so many entries; returns their names in order."""
    await write(database, *(f"thing.{number}" for number in range(1, count + 1)))
    await seal(database)

    def names(connection: Connection) -> list[str]:
        rows = connection.execute(text("SELECT entry_id FROM audit_seals ORDER BY number"))
        return [format_id("aud", row.entry_id) for row in rows]

    return await database.read(names)


def entry(number: int) -> str:
    return f"(SELECT entry_id FROM audit_seals WHERE number = {number})"


async def test_a_whole_chain_is_well(database: Database):
    await chain(database)
    found = await verdict(database)
    assert (found.entries, found.waiting, found.problems, found.remarks) == (6, 0, [], [])


async def test_batches_follow_without_a_gap_and_catch_up(database: Database):
    await write(database, *"abcdefg")
    assert (await seal(database, most=3)).more
    assert (await seal(database, most=3)).waiting == 1
    sealed = await seal(database, most=3)
    assert (sealed.count, sealed.head.number, sealed.waiting, sealed.more) == (1, 7, 0, False)
    assert (await verdict(database)).problems == []


async def test_an_edit_is_found_and_named(database: Database):
    names = await chain(database)
    await tamper(database, f"UPDATE audit_entries SET author_name = 'Somebody' WHERE id = {entry(3)}")
    (problem,) = (await verdict(database)).problems
    assert problem.startswith(f"entry {names[2]}, number 3 (thing.3 of thing_1")
    assert "was edited" in problem


async def test_a_deletion_is_found_and_named(database: Database):
    names = await chain(database)
    await tamper(database, f"DELETE FROM audit_entries WHERE id = {entry(4)}")
    assert (await verdict(database)).problems == [f"entry {names[3]}, number 4 of the chain, was deleted"]


async def test_a_deletion_with_its_seal_is_found(database: Database):
    names = await chain(database)
    await tamper(
        database, f"DELETE FROM audit_entries WHERE id = {entry(4)}", "DELETE FROM audit_seals WHERE number = 4"
    )
    assert (await verdict(database)).problems == [f"seal 4 is missing, before the one of entry {names[4]}"]


@pytest.mark.parametrize("what", ["seals", "content"])
async def test_a_swap_is_found_and_named(database: Database, what: str):
    names = await chain(database)
    if what == "seals":
        await tamper(
            database,
            "CREATE TEMP TABLE was ON COMMIT DROP AS SELECT number, entry_id FROM audit_seals",
            "UPDATE audit_seals SET entry_id = gen_random_uuid() WHERE number = 2",
            "UPDATE audit_seals SET entry_id = (SELECT entry_id FROM was WHERE number = 2) WHERE number = 5",
            "UPDATE audit_seals SET entry_id = (SELECT entry_id FROM was WHERE number = 5) WHERE number = 2",
        )
        names[1], names[4] = names[4], names[1]
    else:
        await tamper(
            database,
            f"UPDATE audit_entries SET action = 'thing.5' WHERE id = {entry(2)}",
            f"UPDATE audit_entries SET action = 'thing.2' WHERE id = {entry(5)}",
        )
    (problem,) = (await verdict(database)).problems
    assert problem == f"entries {names[1]} and {names[4]}, numbers 2 and 5, were swapped"


async def test_an_entry_slipped_in_before_the_head_is_found_and_named(database: Database):
    await chain(database)
    await tamper(
        database,
        "INSERT INTO audit_entries (id, position, xid, at, author_type, author_name, action, target)"
        " OVERRIDING SYSTEM VALUE SELECT '01890000-0000-7000-8000-000000000001', 1000, xid, at, 'staff', 'Mallory',"
        f" 'thing.forged', 'thing_1' FROM audit_entries WHERE id = {entry(2)}",
    )
    (problem,) = (await verdict(database)).problems
    assert "(thing.forged of thing_1" in problem
    assert "was slipped in" in problem


async def test_a_cut_tail_is_found_by_the_head(database: Database):
    await chain(database)
    cut = "DELETE FROM audit_entries WHERE id IN (SELECT entry_id FROM audit_seals WHERE number > 4)"
    await tamper(database, cut, "DELETE FROM audit_seals WHERE number > 4")
    (problem,) = (await verdict(database)).problems
    assert problem.startswith("the tail was cut: the chain ends at number 4, its head says 6, so 2 entries are gone")


async def test_a_cut_tail_with_an_old_head_is_found_by_an_anchor(database: Database):
    await write(database, "a", "b", "c")
    old = (await seal(database)).head
    assert old.signature is not None
    await write(database, "d", "e")
    new = (await seal(database)).head
    anchor = SIGNER.anchor(new.number, new.digest, NOW)
    await tamper(
        database,
        "DELETE FROM audit_entries WHERE id IN (SELECT entry_id FROM audit_seals WHERE number > 3)",
        "DELETE FROM audit_seals WHERE number > 3",
        f"UPDATE audit_head SET number = 3, digest = decode('{old.digest.hex()}', 'hex'), xid = {old.xid},"
        f" position = {old.position}, signature = decode('{old.signature.value.hex()}', 'hex')",
    )
    assert (await verdict(database)).problems == []
    (problem,) = (await verdict(database, anchor)).problems
    assert "attests to 5 entries, the chain ends at number 3" in problem


async def test_a_chain_written_anew_without_the_key_is_found(database: Database):
    await chain(database)
    await tamper(
        database,
        f"UPDATE audit_entries SET action = 'nothing' WHERE id = {entry(2)}",
        "DELETE FROM audit_seals",
        "UPDATE audit_head SET number = 0, digest = decode(repeat('00', 32), 'hex'), xid = 0, position = 0,"
        " signed_at = NULL, key_id = NULL, signature = NULL",
    )
    stranger = Signer([Secret("somebody else's")])
    await seal(database, stranger)
    found = await verdict(database)
    assert any("signed by a key that is not among the master keys" in problem for problem in found.problems)


async def test_the_sealer_says_inside_the_chain_that_it_was_broken(database: Database):
    await chain(database)
    await tamper(database, "DELETE FROM audit_seals WHERE number = 6")
    await write(database, "later")
    sealed = await seal(database)
    assert sealed.broken == "the head says 6, seals end at 5"
    await seal(database)
    found = await verdict(database)
    assert any("seal 6 is missing" in problem for problem in found.problems)
    (remark,) = found.remarks
    assert "the head says 6, seals end at 5" in remark
    assert (await verdict(database, after=6)).problems == [
        problem for problem in found.problems if "was slipped in" in problem
    ]


async def test_what_commits_late_is_not_skipped(database: Database):
    wrote = trio.Event()
    finish = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def slow(connection: Connection) -> None:
        audit.record(connection, TESTER, "slow", "thing_1", at=NOW)
        token.run_sync_soon(wrote.set)
        while not finish.is_set():
            connection.execute(text("SELECT pg_sleep(0.01)"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(database.write, slow)
        await wrote.wait()
        await write(database, "quick")
        assert (await seal(database)).count == 0
        finish.set()
    sealed = await seal(database)
    assert (sealed.count, sealed.head.number, sealed.waiting) == (2, 2, 0)


async def test_a_restored_database_goes_on(database: Database):
    await chain(database)
    await write(database, "of.before")
    far = 2**40
    await tamper(database, f"UPDATE audit_entries SET xid = xid + {far}", "DELETE FROM audit_seals")
    await tamper(database, f"UPDATE audit_head SET number = 0, digest = decode(repeat('00', 32), 'hex'), xid = {far}")
    await seal(database)
    await write(database, "of.after")
    await seal(database)
    assert (await seal(database)).head.number == 9  # the seven, what came after, and that the head was found unsigned
    assert (await seal(database)).waiting == 0


async def test_a_head_of_an_older_key_is_signed_anew(database: Database):
    await chain(database)
    sealed = await seal(database, NEWER)
    assert sealed.head.signature is not None
    assert sealed.head.signature.key_id == NEWER.newest
    assert sealed.broken is None
    assert (await examine(AuditWalk(database), NEWER, [])).problems == []


@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE audit_seals SET sealed_at = now()",
        "DELETE FROM audit_seals",
        "TRUNCATE audit_seals",
        "DELETE FROM audit_head",
        "UPDATE audit_head SET number = 0",
    ],
)
async def test_the_chain_takes_additions_only(database: Database, attempt: str):
    await chain(database)
    with pytest.raises(DBAPIError, match="append-only"):
        await database.write(lambda connection: connection.execute(text(attempt)))


async def test_an_anchor_passes_the_log_unharmed_and_a_forged_one_is_told(database: Database):
    await chain(database)
    head = (await seal(database)).head
    anchor = SIGNER.anchor(head.number, head.digest, NOW)
    assert list(anchors_in(scrub(f"audit.anchored anchor={anchor.text()} entries=6"))) == [anchor]
    assert (await verdict(database, anchor)).anchors == 1
    forged = anchor._replace(number=5)
    assert "is forged" in (await verdict(database, forged)).problems[0]


async def test_the_sealer_keeps_head_and_a_daily_anchor(database: Database, tmp_path: Path):
    clock = SetClock()
    witness = AuditWitness(tmp_path)
    sealer = AuditSealer(AuditSealing(database, SIGNER), SIGNER, witness, clock=clock)
    await write(database, "a", "b")
    await sealer.look()
    await sealer.look()
    head = witness.head()
    assert head is not None
    assert head.number == 2
    assert [anchor.number for anchor in witness.anchors()] == [2]
    assert sealer.figures["unsealed"] == 0
    await tamper(database, "DELETE FROM audit_seals WHERE number = 2")
    await sealer.compare()
    assert sealer.figures["breaks"] == 1
    assert [anchor.number for anchor in witness.anchors()] == [2, 2]
    assert (tmp_path / "audit-anchors").stat().st_mode & 0o077 == 0
