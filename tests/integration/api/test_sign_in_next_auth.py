"""The real `next-auth/react` 4 from npm, run by node over real HTTP, signs in and out without a change to it.

Installed once into `.cache/next-auth` from a locked list with hashes. Skips, saying why, where node is missing or
the npm registry cannot be reached.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import trio

from controlplane.door.front import serve
from tests.people import PASSWORD, TESTER

SOURCE = Path(__file__).parent / "next_auth"
INSTALLED = Path(__file__).parents[3] / ".cache" / "next-auth"
INSTALL = ("npm", "ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.fixture(scope="module")
def client() -> Path:
    """The folder that holds next-auth."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are needed to run next-auth's own client")
    lock = (SOURCE / "package-lock.json").read_bytes()
    kept = INSTALLED / "package-lock.json"
    if not ((INSTALLED / "complete").exists() and kept.exists() and kept.read_bytes() == lock):
        shutil.rmtree(INSTALLED, ignore_errors=True)
        INSTALLED.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, INSTALLED)
        try:
            installed = subprocess.run(INSTALL, cwd=INSTALLED, capture_output=True, text=True, timeout=180, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("the npm registry did not answer within three minutes")
        if installed.returncode != 0:
            if any(sign in installed.stderr for sign in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN")):
                pytest.skip("the npm registry cannot be reached to install next-auth")
            pytest.fail(installed.stderr)
        (INSTALLED / "complete").touch()
    return INSTALLED


async def test_the_client_signs_in_and_out_unchanged(people, client, nursery):
    await people.accounts.create_owner(TESTER, email="olga@letsbe.biz", name="Olga Owner", password=PASSWORD)
    await people.customer("maria@acme.com")

    async def run(task_status):
        await serve(bind="127.0.0.1:0", app=people.app, routes={}, task_status=task_status)

    door = await nursery.start(run)
    base = people.hub.public_url = f"http://127.0.0.1:{door.port}"
    with trio.fail_after(60):
        node = await trio.run_process(
            ["node", str(SOURCE / "walk.cjs"), base, str(client)],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={"PATH": os.environ["PATH"], "WALKER_PASSWORD": PASSWORD},
        )
    nursery.cancel_scope.cancel()
    assert node.returncode == 0, node.stderr.decode()
    assert b"next-auth" not in node.stderr, node.stderr.decode()  # the client logs what it cannot understand
    told = json.loads(node.stdout)

    assert set(told["providers"]) == {"credentials", "customer"}
    assert told["providers"]["customer"] == {
        "id": "customer",
        "name": "Customer",
        "type": "credentials",
        "signinUrl": f"{base}/api/auth/signin/customer",
        "callbackUrl": f"{base}/api/auth/callback/customer",
    }
    for kind, email, role in (("staff", "olga@letsbe.biz", "OWNER"), ("customer", "maria@acme.com", None)):
        steps = told[kind]
        assert steps["before"] is None
        assert steps["wrong"] == {"error": "CredentialsSignin", "status": 401, "ok": False, "url": None}
        assert steps["stillOut"] is None
        assert steps["right"] == {"error": None, "status": 200, "ok": True, "url": f"{base}/inbox"}
        user = steps["session"]["user"]
        assert (user["email"], user["type"], user.get("role")) == (email, kind, role)
        assert steps["cookies"] == ["next-auth.callback-url", "next-auth.csrf-token", "next-auth.session-token"]
        assert steps["signOut"] == {"url": f"{base}/bye"}
        assert steps["after"] is None
        assert steps["sentTo"] == f"{base}/inbox"
        assert steps["sentOutTo"] == f"{base}/bye"
    assert "POST /api/auth/callback/credentials 200" in told["asked"]
