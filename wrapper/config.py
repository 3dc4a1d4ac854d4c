"""The configuration in force: verified by its hash before it is applied, kept when the Hub is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import trio

from protocol.canonical import NotCanonical, canonical
from protocol.objects import TenantConfig
from wrapper.journal import configuration, promises
from wrapper.journal.database import Journal

log = structlog.get_logger()

#: Called with a verified configuration before it is in force; an exception refuses it, with its words.
Applier = Callable[[TenantConfig], Awaitable[None]]
APPLY_SECONDS = 60


class ConfigurationRefused(Exception):
    """The offered configuration was not put in force; the words travel to the Hub."""


class _Offer(msgspec.Struct, rename="camel"):
    config: dict[str, Any]
    config_version: int = 0
    config_hash: str = ""


def verified(offer_hash: str, raw: dict[str, Any]) -> TenantConfig:
    """Check the hash over what was sent, not over what this version understands of it: newer fields count too.

    Raises:
        ConfigurationRefused: the hash is another's, or the configuration cannot be read.
    """
    inner = raw.get("configHash")
    try:
        digest = hashlib.sha256(canonical({k: v for k, v in raw.items() if k != "configHash"})).hexdigest()
    except NotCanonical as error:
        raise ConfigurationRefused(f"the configuration has no canonical form: {error}") from error
    if digest != offer_hash or (inner and inner != digest):
        raise ConfigurationRefused(f"the configuration hashes to {digest}, not to what was announced")
    try:
        return msgspec.convert({**raw, "configHash": digest}, TenantConfig)
    except msgspec.ValidationError as error:
        raise ConfigurationRefused(f"the configuration cannot be read: {error}") from error


class _Version(msgspec.Struct, rename="camel"):
    config_version: int = 0
    config_hash: str = ""


#: A configuration that was pulled from the feed is no promise.
UNNUMBERED = 0


class Configuration:
    """Holds the configuration in force and applies offers in their order.

    Attributes:
        current: None until the first has been applied.
    """

    def __init__(self, journal: Journal, appliers: tuple[Applier, ...] = ()) -> None:
        self._journal = journal
        self._appliers = appliers
        self._wake = trio.Event()
        self._pulled: bytes | None = None
        self.current: TenantConfig | None = None

    async def load(self) -> None:
        """Take up what was in force when the process last ran."""
        kept = await self._journal.run(configuration.load)
        if kept is not None:
            self.current = msgspec.json.decode(kept, type=TenantConfig)

    def offered(self) -> None:
        """An offer has been journalled."""
        self._wake.set()

    def pulled(self, config: bytes) -> int:
        """The whole configuration came by the feed, and is to be applied unless it is in force; returns its version."""
        try:
            version = msgspec.json.decode(config, type=_Version)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            version = _Version()
        if self.current is None or self.current.config_hash != version.config_hash:
            self._pulled = config
            self._wake.set()
        return version.config_version

    async def run(self) -> None:
        """Apply every journalled offer, for ever. A crash in between applies it again: it is the same configuration."""
        while True:
            for seq, frame in await self._journal.run(promises.open_offers):
                await self._conclude(seq, frame)
            pulled, self._pulled = self._pulled, None
            if pulled is not None:
                await self._conclude(UNNUMBERED, _as_offer(pulled))
            await self._wake.wait()
            self._wake = trio.Event()

    async def _conclude(self, seq: int, frame: bytes) -> None:
        applied: TenantConfig | None
        problem: str | None
        try:
            offer = msgspec.json.decode(frame, type=_Offer)
        except (msgspec.MsgspecError, RecursionError) as error:
            offer = _Offer(config={})
            applied, problem = None, f"the offer cannot be read: {error}"
        else:
            applied, problem = await self._apply(offer)
        raw = None
        if applied is not None:
            raw = msgspec.json.encode(applied)
        await self._journal.run(
            configuration.conclude,
            seq,
            version=offer.config_version,
            digest=offer.config_hash,
            raw=raw,
            error=problem,
        )
        if applied is not None:
            self.current = applied
            log.info("configuration.applied", version=applied.config_version)
        else:
            log.error("configuration.refused", version=offer.config_version, reason=problem)

    async def _apply(self, offer: _Offer) -> tuple[TenantConfig | None, str | None]:
        """The configuration to put in force, or why not."""
        try:
            config = verified(offer.config_hash, offer.config)
            if config.config_version != offer.config_version:
                raise ConfigurationRefused(
                    f"offered as version {offer.config_version}, but it is {config.config_version}"
                )
            if self.current is not None and config.config_version < self.current.config_version:
                raise ConfigurationRefused(f"version {self.current.config_version} is in force, which is newer")
            for applier in self._appliers:
                with trio.fail_after(APPLY_SECONDS):
                    await applier(config)
        except ConfigurationRefused as error:
            return None, str(error)
        except trio.TooSlowError:
            return None, f"could not be applied within {APPLY_SECONDS} s"
        except Exception as error:  # foreign code: its failure is an answer
            log.exception("configuration.applier_failed")
            return None, f"could not be applied: {type(error).__name__}: {error}"
        return config, None


def _as_offer(config: bytes) -> bytes:
    """A pulled configuration as the frame that would have offered it: it is its own announcement."""
    try:
        version = msgspec.json.decode(config, type=_Version)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return config
    announced = {"configVersion": version.config_version, "configHash": version.config_hash}
    return msgspec.json.encode({**announced, "config": msgspec.Raw(config)})
