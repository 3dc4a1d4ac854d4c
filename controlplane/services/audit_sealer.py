"""The sealer: chains audit entries soon after their commit, keeps the head in the state folder, anchors it daily."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Final

import structlog
import trio

from actors.runtime.ports import Clock
from controlplane.services.audit_witness import AuditWitness
from controlplane.store.audit_chain import GENESIS, Signer
from controlplane.store.audit_sealing import AuditSealing, Head, Sealed
from protocol.faults import Overloaded

log = structlog.get_logger()

#: After news, how long to wait for more: one batch of many entries costs little more than one of one.
GATHER_SECONDS: Final = 0.5
#: How often to look without having been told: for other nodes' entries, and for the day's anchor.
SAFETY_SECONDS: Final = 30.0
#: How soon to look again for what a running transaction holds back, or while the database is away.
RETRY_SECONDS: Final = 2.0


class AuditSealer:
    """Seals what was committed, whichever node wrote it.

    Args:
        witness: the files of this node's state folder.
    """

    def __init__(self, sealing: AuditSealing, signer: Signer, witness: AuditWitness, *, clock: Clock) -> None:
        self._sealing = sealing
        self._signer = signer
        self._witness = witness
        self._clock = clock
        self._poked = trio.Event()
        self._last: Sealed | None = None
        self._sealed = 0
        self._breaks = 0
        self._anchored: date | None = None

    def poke(self) -> None:
        """An entry was committed."""
        self._poked.set()

    @property
    def figures(self) -> Mapping[str, float]:
        """For the metrics: how many entries wait and for how long, and how old the newest seal is."""
        last = self._last
        figures = {"sealed": float(self._sealed), "breaks": float(self._breaks)}
        if last is None:
            return figures
        now = self._clock.now()
        waited = 0.0 if last.oldest is None else (now - last.oldest).total_seconds()
        figures |= {"unsealed": float(last.waiting), "oldest_unsealed_seconds": max(0.0, waited)}
        figures["chain_length"] = float(last.head.number)
        if last.head.signed_at is not None:
            figures["last_sealed_age_seconds"] = max(0.0, (now - last.head.signed_at).total_seconds())
        return figures

    async def run(self) -> None:
        """Seal, until cancelled."""
        compared = False
        while True:
            self._poked = trio.Event()
            rest = RETRY_SECONDS
            try:
                if not compared:
                    await self.compare()
                    compared = True
                rest = await self.look()
            except Overloaded as fault:
                log.warning("audit.sealing_waits", reason=fault.message)
            except OSError as error:
                log.error("audit.witness_not_written", reason=error.strerror)
            with trio.move_on_after(rest):
                await self._poked.wait()
            await trio.sleep(GATHER_SECONDS)

    async def compare(self) -> None:
        """Look whether the chain still holds what this node saw last; what it saw is kept as an anchor when not."""
        seen = await trio.to_thread.run_sync(self._witness.head)
        if seen is None or seen.number == 0 or await self._sealing.digest_at(seen.number) == seen.digest:
            return
        self._breaks += 1
        log.error("audit.chain_lost", number=seen.number, anchor=seen.text(), remedy="run `hub doctor --audit`")
        await trio.to_thread.run_sync(self._witness.keep_anchor, seen)

    async def look(self) -> float:
        """Seal all there is; returns in how many seconds to look again at the latest."""
        while True:
            sealed = await self._sealing.seal(at=self._clock.now())
            if sealed is None:  # another node is at it
                return RETRY_SECONDS
            self._last = sealed
            self._sealed += sealed.count
            if sealed.broken is not None:
                self._breaks += 1
                log.error("audit.chain_broken", reason=sealed.broken, remedy="run `hub doctor --audit`")
            if not sealed.more:
                break
        await self._keep(sealed.head)
        return RETRY_SECONDS if sealed.waiting else SAFETY_SECONDS

    async def _keep(self, head: Head) -> None:
        """Tell the state folder how far the chain goes, and once a day the log."""
        now = self._clock.now()
        seen = await trio.to_thread.run_sync(self._witness.head)
        if (head.number, head.digest) != (0, GENESIS) and (seen is None or seen.digest != head.digest):
            kept = self._signer.anchor(head.number, head.digest, now)
            await trio.to_thread.run_sync(self._witness.keep_head, kept)
        if self._anchored is None:
            anchors = await trio.to_thread.run_sync(self._witness.anchors)
            self._anchored = max((anchor.at.date() for anchor in anchors), default=date.min)
        if head.number and self._anchored < now.date():
            anchor = self._signer.anchor(head.number, head.digest, now)
            await trio.to_thread.run_sync(partial(self._witness.keep_anchor, anchor))
            self._anchored = now.date()
            log.info("audit.anchored", entries=head.number, anchor=anchor.text())
