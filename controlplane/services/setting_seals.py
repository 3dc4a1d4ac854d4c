"""Secrets among the settings are sealed anew when the master key changes, so that the older one may go."""

from __future__ import annotations

import structlog

from controlplane.services.sealing import Sealer, Unsealable
from controlplane.store.system_settings import SettingStore

log = structlog.get_logger()


async def seal_settings_anew(settings: SettingStore, sealer: Sealer) -> int:
    """Seal with the newest master key what an older one sealed; returns how many secrets that were."""
    resealed = 0
    for name, sealed in await settings.sealed():
        if sealer.is_newest(sealed):
            continue
        try:
            resealed += await settings.reseal(name, sealed, sealer.rotate(sealed))
        except Unsealable as error:
            log.error("setting.not_resealed", setting=name, reason=str(error))
    return resealed
