"""Whether a refused sign-in tells by its time that there is such an account: `python -m bench.sign_in`."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Iterator
from itertools import cycle

import click
import trio

from bench.hub_process import HubProcess, running_hub, seed
from bench.wire import Http, percentile

GOAL_PERCENT = 10.0
#: Below the Hub's limits of sign-ins for an account and for an address, which nothing raises.
TRIES_OF_AN_ACCOUNT = 8
TRIES_OF_AN_ADDRESS = 40


async def _accounts(hub: HubProcess, many: int) -> list[str]:
    """Customers with passwords; their addresses."""
    staff, _, _ = await seed(hub, 1)
    http = Http("127.0.0.1", hub.port, staff)
    emails = [f"known{number}@timing.example" for number in range(many)]
    for email in emails:
        body = {"email": email, "name": "Known", "company": "Timing", "password": "a passphrase nobody guesses"}
        status, answer = await http.call("POST", "/api/v1/admin/customers", body)
        if status != 201:
            raise RuntimeError(f"customer: {status} {answer}")
    await http.aclose()
    return emails


def refused_ms(port: int, source: str, email: str) -> float:
    """How long the refusal takes of a wrong password, from an address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    body = json.dumps({"email": email, "password": "a passphrase that is wrong"})
    connection.connect()
    began = time.perf_counter()
    connection.request("POST", "/api/auth/callback/customer", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    took = (time.perf_counter() - began) * 1000
    connection.close()
    if answer.status != 401:
        raise RuntimeError(f"status {answer.status}")
    return took


def _sources() -> Iterator[str]:
    """Addresses of this machine, each for as many tries as it has."""
    for host in cycle(range(2, 250)):
        yield from [f"127.0.1.{host}"] * TRIES_OF_AN_ADDRESS


def chance_that_slower(first: list[float], second: list[float]) -> float:
    """How often one of the first is slower than one of the second: 0.5 tells nothing (Mann and Whitney's U)."""
    wins = sum((one > other) + (one == other) / 2 for one in first for other in second)
    return wins / (len(first) * len(second))


def measure(port: int, emails: list[str]) -> tuple[list[float], list[float]]:
    """Wrong passwords of accounts there are, and of ones there are not, in a shuffled order."""
    dice, sources = random.Random(4), _sources()
    plan = [(email, True) for email in emails * TRIES_OF_AN_ACCOUNT]
    plan += [(f"un{email}", False) for email in emails * TRIES_OF_AN_ACCOUNT]
    dice.shuffle(plan)
    times: dict[bool, list[float]] = {True: [], False: []}
    for email, known in plan:
        times[known].append(refused_ms(port, next(sources), email))
    return times[True], times[False]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--accounts", default=40, help=f"Accounts; each is tried {TRIES_OF_AN_ACCOUNT} times.")
def main(accounts: int) -> None:
    """Compare the time of a wrong password with that of an unknown address, one call at a time."""
    with running_hub() as hub:
        emails = trio.run(_accounts, hub, accounts)
        known, unknown = measure(hub.port, emails)
    for name, times in (("wrong password", known), ("unknown address", unknown)):
        told = " ".join(f"p{share * 100:.0f}={percentile(times, share):.2f} ms" for share in (0.1, 0.25, 0.5))
        click.echo(f"{name}: {len(times)} calls, {told}")
    for share in (0.1, 0.5):
        one, other = percentile(known, share), percentile(unknown, share)
        click.echo(f"gap at p{share * 100:.0f}: {(one - other) / other * 100:+.1f} % (goal: below {GOAL_PERCENT:g} %)")
    chance = chance_that_slower(known, unknown)
    error = (1 / 12 * (1 / len(known) + 1 / len(unknown))) ** 0.5
    click.echo(f"a wrong password is slower in {chance:.3f} of all pairs (0.5 ± {2 * error:.3f} is chance)")


if __name__ == "__main__":
    main()
