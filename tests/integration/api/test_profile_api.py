"""One's own profile: name, address and photo, for staff."""

from __future__ import annotations

import io

import pytest
import trio
from PIL import Image

from tests.integration.api.tenants import bad_fields, data, refusal
from tests.people import PASSWORD

PROFILE = "/api/v1/profile"


def picture(size: tuple[int, int] = (64, 32)) -> bytes:
    drawn = io.BytesIO()
    Image.new("RGB", size, "red").save(drawn, "PNG")
    return drawn.getvalue()


async def test_a_profile_is_read_and_changed(people):
    owner = await people.owner()
    profile = data(await owner.get(PROFILE))
    assert profile.keys() == {"id", "email", "name", "role", "status", "createdAt", "image", "twoFactorEnabled"}
    changed = data(await owner.patch(PROFILE, json={"name": "Olga Again"}))
    assert changed == profile | {"name": "Olga Again"}
    assert data(await owner.patch(PROFILE, json={})) == changed
    assert (await owner.get("/api/auth/session")).json()["user"]["name"] == "Olga Again"


async def test_a_new_address_signs_in_and_the_former_one_is_told(people):
    owner = await people.owner()
    data(await owner.patch(PROFILE, json={"email": "olga@elsewhere.biz"}))
    [notice] = await people.posted("security_notice")
    assert (notice.recipient, "address was changed" in notice.text) == ("owner@letsbe.biz", True)
    await people.signed_in("credentials", "olga@elsewhere.biz")
    body = {"email": "owner@letsbe.biz", "password": PASSWORD}
    assert (await people.browser().post("/api/auth/callback/credentials", json=body)).status_code == 401


async def test_an_address_belongs_to_one_member(people):
    owner = await people.owner()
    await people.owner("second@letsbe.biz")
    taken = await owner.patch(PROFILE, json={"email": "SECOND@letsbe.biz"})
    assert refusal(taken, 409)["code"] == "CONFLICT"
    assert data(await owner.get(PROFILE))["email"] == "owner@letsbe.biz"
    assert await people.posted("security_notice") == []


async def test_what_will_not_do_is_named(people):
    owner = await people.owner()
    answer = await owner.patch(
        PROFILE, json={"name": " ", "email": "x", "role": "OWNER", "image": "x", "status": "ACTIVE"}
    )
    assert set(bad_fields(answer)) == {"name", "email", "role", "image", "status"}
    assert bad_fields(await owner.patch(PROFILE, json={"name": None})) == ["name"]


async def test_of_two_who_edit_one_profile_the_second_reads_again(people):
    owner = await people.owner()
    etag = (await owner.get(PROFILE)).headers["etag"]
    statuses = []

    async def change(number: int) -> None:
        answer = await owner.patch(PROFILE, json={"name": f"Olga {number}"}, headers={"if-match": etag})
        statuses.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(change, number)
    assert sorted(statuses) == [200] + [409] * 7
    assert (await owner.get(PROFILE)).headers["etag"] != etag


async def test_a_photo_is_taken_shown_replaced_and_removed(people):
    owner = await people.owner()
    taken = data(await owner.post(f"{PROFILE}/photo", files={"photo": ("me.svg", picture(), "image/svg+xml")}))
    path = taken["image"]
    assert path.startswith(f"{PROFILE}/photos/")
    assert taken == data(await owner.get(PROFILE))
    assert (await owner.get("/api/auth/session")).json()["user"]["image"] == path
    shown = await owner.get(path)
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "image/webp"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    with Image.open(io.BytesIO(shown.content)) as drawn:
        assert drawn.size == (64, 32)
    colleague = await people.member("SUPPORT", "sam@letsbe.biz")
    assert (await colleague.get(path)).status_code == 200
    again = data(await owner.post(f"{PROFILE}/photo", files={"photo": picture((8, 8))}))["image"]
    assert again != path
    assert (await owner.get(path)).status_code == 404
    assert len(people.storage.objects) == 1
    assert data(await owner.delete(f"{PROFILE}/photo"))["image"] is None
    assert people.storage.objects == {}


async def test_photos_are_for_staff(people):
    owner = await people.owner()
    path = data(await owner.post(f"{PROFILE}/photo", files={"photo": picture()}))["image"]
    await people.customer("maria@acme.com")
    maria = await people.signed_in("customer", "maria@acme.com")
    assert (await maria.get(path)).status_code == 403
    assert (await maria.post(f"{PROFILE}/photo", files={"photo": picture()})).status_code == 403
    assert (await people.browser().get(path)).status_code == 401


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"files": {"photo": b"<script>alert(1)</script>"}}, 400),
        ({"files": {"photo": b""}}, 400),
        ({"data": {"photo": "text"}}, 415),
        ({"json": {"photo": "x"}}, 415),
        ({"content": picture(), "headers": {"content-type": "image/png"}}, 415),
        ({"files": [("photo", picture()), ("photo", picture())]}, 400),
        ({"files": {"photo": picture() + b"\0" * 1024 * 1024}}, 413),
        ({"files": {"photo": b"\0" * 2 * 1024 * 1024}}, 413),
    ],
    ids=["html", "empty", "form", "json", "bare", "two", "too large", "much too large"],
)
async def test_what_is_no_photo_changes_nothing(people, request_of, status):
    owner = await people.owner()
    assert (await owner.post(f"{PROFILE}/photo", **request_of)).status_code == status
    assert data(await owner.get(PROFILE))["image"] is None
    assert people.storage.objects == {}
