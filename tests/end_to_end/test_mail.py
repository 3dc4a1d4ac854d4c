"""Mail from a real Hub: an agent asks, and a mail in the folder leads its customer to the card, without a secret."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from tests.end_to_end.fixtures import OpenHub
from tests.end_to_end.hub_process import HubProcess, until
from tests.end_to_end.world import Ground, World

WISH = {
    "agentId": "it-admin",
    "commandClass": "red",
    "toolName": "file_delete",
    "toolArgs": {"path": "/tmp/*"},
    "humanReadable": "delete /tmp/* (47 files, 2.3 GB)",
}


def mails(folder: Path) -> list[EmailMessage]:
    files = sorted(folder.glob("*.eml"))
    return [cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "mail"


@pytest.fixture
def hub(open_hub: OpenHub, folder: Path) -> Iterator[HubProcess]:
    """A Hub that writes its mails into the folder."""
    with open_hub(HUB_SMTP_URL=f"file://{folder}", HUB_MAIL_GRACE_SECONDS="0") as hub:
        yield hub


async def test_an_agents_wish_is_mailed_to_its_customer(hub: HubProcess, ground: Ground, folder: Path) -> None:
    async with World.around(hub, ground) as world:
        tenant = await world.tenant()
        wrapper = world.tenant_caller(tenant)
        asked = await wrapper.ok("POST", "/api/v1/tenant/approval-request", WISH)
        await until(lambda: mails(folder), what="a mail in the folder")
        [mail] = mails(folder)
        assert mail["To"] == ground.maria.email
        link = f"/customer/approvals/{asked['id']}"
        for kind in ("plain", "html"):
            body = mail.get_body((kind,))
            assert body is not None
            assert link in body.get_content()
        figures = (await world.nobody.call("GET", "/metrics")).text
        assert "hub_mail_sent 1.0" in figures
        assert "hub_mail_on 1.0" in figures

        # What follows within the minute waits for the next mail; a Hub that is killed meanwhile forgets none of it.
        for number in range(3):
            await wrapper.ok("POST", "/api/v1/tenant/approval-request", WISH | {"humanReadable": f"wish {number}"})
        await wrapper.aclose()
        assert len(mails(folder)) == 1
        hub.sql("UPDATE approval_mailings SET last_at = last_at - interval '2 minutes'")
    hub.kill()
    hub.start()
    await until(lambda: len(mails(folder)) == 2, what="the second mail")
    await until(lambda: hub.sql("SELECT DISTINCT state, body IS NULL, attempts FROM mails") == [("sent", True, 1)])
    assert [mail["Subject"] for mail in mails(folder)][1] == "3 requests wait for your decision"
    assert hub.logged("mail.sent")
    assert hub.bugs() == []
