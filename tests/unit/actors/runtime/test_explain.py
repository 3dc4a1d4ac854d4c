"""Explanations: what they tell, and that no secret shows in them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

import pytest
import structlog.testing
import trio
import trio.testing

from actors.runtime import Actor, ActorCrashed, ActorSystem, DeadReason, Message, Supervision
from tests.unit.actors.runtime.people import PATIENT, Bug, House, Later, Say, Wait

CANARY = "canary-7Qx9"


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Deliver(Message[str]):
    """A message full of secrets, beside harmless fields."""

    order_id: str = "ord_01"
    colour: Colour = Colour.RED
    attempt: int = 3
    payload: object = CANARY
    tool_args: object = (CANARY,)
    registration_token: str = CANARY
    hub_api_key: str = CANARY
    new_password: str = CANARY
    client_secret: bytes = CANARY.encode()
    nested: object = None
    note: str = ""


class Keeper(Actor):
    """Crashes with the secret in its words."""

    def receive(self, message: object) -> object:
        if isinstance(message, Deliver):
            try:
                raise Bug(f"inner: {message.registration_token}")
            except Bug as error:
                raise Bug(f"cannot deliver {message.payload}") from error
        return "ok"

    def explain(self) -> dict[str, object]:
        return {
            "presence": "online",
            "sequence": 12,
            "api_key": CANARY,
            "session": {"token": CANARY, "epoch": 4},
            "keeper": self,
            "links": ["https://ada:secret@example.org/", "x" * 200],
        }


async def test_a_living_actor_is_explained(house: House) -> None:
    await house.ref().ask(Say("hello"))
    gate, begun = trio.Event(), trio.Event()
    house.ref().tell(Wait(gate, begun))
    await begun.wait()
    house.ref().tell(Say("a"))
    house.ref().tell(Say("b"), control=True)
    explanation = house.system.explain("person/ada")
    assert explanation is not None
    assert explanation.state == "running"
    assert (explanation.waiting, explanation.waiting_control, explanation.handled) == (2, 1, 1)
    assert explanation.handling is not None
    assert explanation.handling.type == "Wait"
    assert [(seen.message.type, seen.message.fields) for seen in explanation.last_messages] == [
        ("Say", {"word": "hello"}),
        ("Wait", {"gate": "<Event>", "begun": "<Event>"}),
    ]
    gate.set()
    await trio.sleep(7)
    explanation = house.system.explain("person/ada")
    assert explanation is not None
    assert (explanation.state, explanation.handling, explanation.waiting) == ("idle", None, 0)
    assert explanation.idle_seconds == pytest.approx(7)
    assert (house.system.clock.now() - explanation.last_messages[-1].at).total_seconds() == pytest.approx(7)


async def test_the_last_messages_are_the_last_five(house: House) -> None:
    for number in range(9):
        await house.ref().ask(Say(str(number)))
    explanation = house.system.explain("person/ada")
    assert explanation is not None
    assert [seen.message.fields["word"] for seen in explanation.last_messages] == list("45678")


async def test_who_sleeps_and_who_is_unknown(house: House) -> None:
    explanation = house.system.explain("person/nobody")
    assert explanation is not None
    assert explanation.state == "asleep"
    assert list(house.system.living("person")) == []
    assert house.system.explain("robot/x") is None
    assert house.system.explain("person") is None


async def test_a_crash_is_remembered_also_while_asleep(house: House) -> None:
    house.diary().start_errors = [Bug("planted")]
    house.ref().tell(Say("wake"))
    await trio.sleep(1_000)
    explanation = house.system.explain("person/ada")
    assert explanation is not None
    assert explanation.state == "asleep"
    assert explanation.last_crash is not None
    assert explanation.last_crash.error.type == "Bug"
    assert explanation.last_crash.error.text == "planted"
    assert any("people.py" in frame and "started" in frame for frame in explanation.last_crash.error.frames)


async def test_no_secret_shows_anywhere(system: ActorSystem) -> None:
    system.register("keeper", lambda _: Keeper(), supervision=PATIENT)
    keeper = system.ref("keeper", "x")
    nested = Deliver(payload={"password": CANARY}, nested=Deliver())
    with structlog.testing.capture_logs() as logs:
        for message in (Deliver(), nested):
            with pytest.raises(ActorCrashed) as caught:
                await keeper.ask(message)
            assert CANARY not in str(caught.value)
        await keeper.ask(Say("fine"))
        await system.stop()
        keeper.tell(Deliver())
    shown = [
        repr(system.explain("keeper/x")),
        repr(system.crashes()),
        repr(system.dead_letters.latest()),
        repr(system.stats()),
        repr(logs),
    ]
    for text in shown:
        assert CANARY not in text
    assert "cannot deliver •••" in shown[1]
    assert "ord_01" in shown[1]
    assert "attempt" in shown[2]


async def test_an_actors_own_words_are_redacted_too(system: ActorSystem) -> None:
    system.register("keeper", lambda _: Keeper(), supervision=PATIENT)
    await system.ref("keeper", "x").ask(Say("hello"))
    explanation = system.explain("keeper/x")
    assert explanation is not None
    assert explanation.extra == {
        "presence": "online",
        "sequence": 12,
        "api_key": "•••",
        "session": {"token": "•••", "epoch": 4},
        "keeper": "<Keeper>",
        "links": ["https://•••@example.org/", "•••"],
    }


async def test_an_explanation_does_not_fail_with_its_actor(system: ActorSystem) -> None:
    class Mute(Keeper):
        def explain(self) -> dict[str, object]:
            raise Bug(CANARY)

    system.register("mute", lambda _: Mute(), supervision=PATIENT)
    await system.ref("mute", "x").ask(Say("hello"))
    explanation = system.explain("mute/x")
    assert explanation is not None
    assert explanation.extra == {"explain": "Bug"}


async def test_a_remembered_message_keeps_no_payload_alive(system: ActorSystem) -> None:
    class Big:
        alive = 0

        def __init__(self) -> None:
            Big.alive += 1

        def __del__(self) -> None:
            Big.alive -= 1

    system.register("keeper", lambda _: Keeper(), supervision=PATIENT)
    keeper = system.ref("keeper", "x")
    await keeper.ask(Later(Big()))
    await keeper.ask(Say("next"))
    assert Big.alive == 0
    explanation = system.explain("keeper/x")
    assert explanation is not None
    assert explanation.last_messages[0].message.fields == {"message": "<Big>", "seconds": "0.0"}


async def test_dead_letters_are_counted_and_the_latest_kept(house: House) -> None:
    begun = trio.Event()
    house.ref().tell(Wait(trio.Event(), begun))
    await begun.wait()
    for number in range(508):
        house.ref().tell(Say(str(number)))
    assert house.system.dead_letters.count == 500
    assert house.system.dead_letters.counts[DeadReason.FULL] == 500
    letters = house.system.dead_letters.latest()
    assert len(letters) == 200
    assert letters[-1].path == "person/ada"
    assert letters[-1].message.fields == {"word": "507"}
    assert letters[-1].reason is DeadReason.FULL


async def test_a_flood_of_dead_letters_is_no_flood_of_log_lines(house: House) -> None:
    begun = trio.Event()
    house.ref().tell(Wait(trio.Event(), begun))
    await begun.wait()
    with structlog.testing.capture_logs() as logs:
        for number in range(1_008):
            house.ref().tell(Say(str(number)))
    assert [line["count"] for line in logs] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


async def test_stats_tell_who_lives_and_where(house: House) -> None:
    await house.ref("ada").ask(Say("hello"))
    begun = trio.Event()
    house.ref("bob").tell(Wait(trio.Event(), begun))
    await begun.wait()
    house.ref("bob").tell(Say("waits"))
    stats = asdict(house.system.stats())
    person = stats["kinds"]["person"]
    assert person["living"] == 2
    assert person["waiting"] == 1
    assert person["by_state"] == {"idle": 1, "running": 1}
    assert person["counters"]["accepted"] == 3
    assert person["counters"]["woken"] == 2
    assert stats["tasks"] == 1
    assert Supervision().max_restarts == 5
