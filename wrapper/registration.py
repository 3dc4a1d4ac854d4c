"""Registration: the one-use token becomes a hub API key; repeated with the same instance id until it has arrived."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx
import structlog
import trio

from wrapper.hub_address import HubAddress
from wrapper.keyring import Keyring, Secret
from wrapper.ports import Randomness
from wrapper.reconnect import Backoff, retry_after_seconds
from wrapper.state_folder import StateFolder

log = structlog.get_logger()

PATH: Final = "/api/v1/tenant/register"
TIMEOUT_SECONDS: Final = 20
_INSTANCE_FILE: Final = "instance-id"


class RegistrationRefused(Exception):
    """The Hub will not take this token; the words are the Hub's."""


def instance_id(folder: StateFolder, fresh: str) -> str:
    """This installation's id, on the disk before it is first sent: what makes a repeated registration the same one."""
    kept = folder.read(_INSTANCE_FILE)
    if kept is not None:
        return kept.decode("ascii", "replace").strip()
    folder.write(_INSTANCE_FILE, fresh.encode())
    return fresh


async def register(
    address: HubAddress,
    token: Secret,
    instance: str,
    keyring: Keyring,
    *,
    randomness: Randomness,
    webhook_url: str | None = None,
) -> None:
    """Register, trying again for as long as the Hub is away; the key is sealed on the disk when this returns.

    Args:
        webhook_url: where this wrapper takes the Hub's webhooks, if it does.

    Raises:
        RegistrationRefused: the Hub answered, and said no.
    """
    backoff = Backoff(randomness)
    body = {"registrationToken": token.reveal(), "instanceId": instance}
    if webhook_url is not None:
        body["safetyWrapperUrl"] = webhook_url
    # A redirect could carry the token to another host: none is followed.
    async with httpx.AsyncClient(
        timeout=TIMEOUT_SECONDS, follow_redirects=False, trust_env=not address.loopback
    ) as client:
        while True:
            pause = await _attempt(client, address, body, token, instance, keyring)
            if pause is None:
                return
            await trio.sleep(max(pause, backoff.next()))


async def _attempt(
    client: httpx.AsyncClient,
    address: HubAddress,
    body: dict[str, str],
    token: Secret,
    instance: str,
    keyring: Keyring,
) -> float | None:
    """One try: None when it is done, else the seconds that the Hub asks to wait."""
    try:
        with trio.fail_after(TIMEOUT_SECONDS):
            answer = await client.post(address.url + PATH, json=body)
    except (httpx.TransportError, trio.TooSlowError) as error:
        log.warning("registration.postponed", reason=type(error).__name__)
        return 0.0
    content = _content(answer)
    if answer.status_code in (200, 201):
        data = content.get("data")
        key = data.get("hubApiKey") if isinstance(data, dict) else None
        if isinstance(key, str) and key:
            keyring.keep(Secret(key), token=token)
            log.info("registration.done", instance=instance)
            return None
        log.warning("registration.postponed", reason="the answer holds no hubApiKey")
        return 30.0
    fault = content.get("error")
    words = str(fault.get("message")) if isinstance(fault, dict) else f"HTTP {answer.status_code}"
    if answer.status_code == 429 or answer.status_code >= 500:
        log.warning("registration.postponed", status=answer.status_code, reason=words)
        return retry_after_seconds(answer.headers.get("Retry-After"))
    raise RegistrationRefused(words)


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
