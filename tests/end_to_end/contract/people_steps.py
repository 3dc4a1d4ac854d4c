"""The walk among people: setup, sign-in, second factor, invitations, profile, staff (sections 3.1, 4.1, 4.7)."""

from __future__ import annotations

import io
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pyotp
from PIL import Image

from tests.contract.examples import example
from tests.end_to_end.contract.walk import OWNER, PASSWORD, Step, Walk
from tests.end_to_end.hub_process import until


async def set_up(walk: Walk) -> None:
    body = {"email": OWNER, "name": "Olga Owner", "password": PASSWORD}
    walk.caller("nobody")
    await walk.do("POST /api/v1/setup", "nobody", json=body)


async def sign_in(walk: Walk) -> None:
    answer = await walk.sign_in("credentials", OWNER)
    assert answer.status_code == 200, answer.text
    walk.answers["POST /api/auth/[...nextauth]"] = answer
    token = next(cookie.value for cookie in answer.cookies.jar if "session-token" in cookie.name)
    assert token is not None
    walk.caller("staff", token)
    session = await walk.did("GET /api/auth/[...nextauth]", "GET", "/api/auth/session", "staff")
    assert session["user"]["email"] == OWNER


async def second_factor(walk: Walk) -> None:
    assert (await walk.do("GET /api/v1/auth/2fa/status", "staff"))["enabled"] is False
    enrolment = await walk.do("POST /api/v1/auth/2fa/setup", "staff")
    codes = pyotp.TOTP(enrolment["secret"])
    verified = await walk.do("POST /api/v1/auth/2fa/verify", "staff", json={"code": codes.now()})
    assert (await walk.do("GET /api/v1/auth/2fa/backup-codes", "staff"))["remaining"] == len(verified["backupCodes"])
    pending = await walk.sign_in("credentials", OWNER)
    walk.refusals["POST /api/auth/[...nextauth]"] = pending
    body = example("3.1_second_factor") | {"token": pending.json()["pendingToken"], "code": verified["backupCodes"][0]}
    assert (await walk.do("POST /api/v1/auth/2fa/verify", "nobody", json=body))["verified"] is True
    assert (await walk.do("POST /api/v1/auth/2fa/disable", "staff", json={"password": PASSWORD}))["enabled"] is False


def letters(walk: Walk, to: str) -> list[EmailMessage]:
    """What was mailed to somebody."""
    files = sorted((walk.folder / "mail").glob("*.eml"))
    found = [cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=policy.default)) for file in files]
    return [letter for letter in found if letter["To"] == to]


async def invite(walk: Walk) -> None:
    email = "sam@letsbe.biz"
    await walk.do("POST /api/v1/admin/staff/invite", "staff", json={"email": email, "role": "SUPPORT"})
    assert await walk.do("GET /api/v1/admin/staff/invitations", "staff")
    await until(lambda: letters(walk, email), what="the invitation's mail")
    body = letters(walk, email)[0].get_body(("plain",))
    assert body is not None
    [walk.ids["token"]] = set(re.findall(r"#([A-Za-z0-9_-]{20,})", body.get_content()))
    assert (await walk.do("GET /api/v1/auth/invite/{token}", "nobody"))["email"] == email
    accepted = {"token": walk.ids["token"], "name": "Sam Support", "password": PASSWORD}
    walk.ids["sam"] = (await walk.do("POST /api/v1/auth/accept-invite", "nobody", json=accepted))["id"]


async def staff(walk: Walk) -> None:
    assert len(await walk.do("GET /api/v1/admin/staff", "staff")) == 2
    changed = await walk.do(
        "PATCH /api/v1/admin/staff/{id} | /api/v1/admin/staff/{sam}", "staff", json={"role": "ADMIN"}
    )
    assert changed["role"] == "ADMIN"
    gone = await walk.do("DELETE /api/v1/admin/staff/{id} | /api/v1/admin/staff/{sam}", "staff")
    assert gone["status"] == "DEACTIVATED"


async def profile(walk: Walk) -> None:
    assert (await walk.do("GET /api/v1/profile", "staff"))["email"] == OWNER
    assert (await walk.do("PATCH /api/v1/profile", "staff", json={"name": "Olga O."}))["name"] == "Olga O."
    await walk.refused("PATCH /api/v1/profile", "staff", json={"email": "not an address"})
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
    photo = {"photo": ("me.png", picture.getvalue(), "image/png")}
    assert (await walk.do("POST /api/v1/profile/photo", "staff", files=photo))["image"]
    body = {"currentPassword": PASSWORD, "newPassword": "a wholly different passphrase"}
    await walk.do("POST /api/v1/profile/password", "staff", json=body)


STEPS: list[Step] = [set_up, sign_in, second_factor, invite, staff, profile]
