"""What actors cost: messages a second, and bytes of an idle actor. Run it with `python -m bench.actors`."""

from __future__ import annotations

import argparse
import gc
import logging
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
import trio
import trio.testing

from actors.runtime import Actor, ActorSystem, Message, Supervision

CROWD = 100  # actors that share the messages
BURST = 200  # tells between two waits, within the mailbox's bound


@dataclass(frozen=True, slots=True)
class Add(Message[int]):
    """A message of the usual size."""

    amount: int
    note: str = "note"


class Counter(Actor):
    """Answers at once."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0

    def receive(self, message: object) -> object:
        assert isinstance(message, Add)
        self.total += message.amount
        return self.total


class Waiter(Counter):
    """Waits one turn of the loop before each answer."""

    __slots__ = ()

    async def receive(self, message: object) -> object:
        await trio.lowlevel.checkpoint()
        return Counter.receive(self, message)


async def tell(system: ActorSystem, kind: str, messages: int) -> None:
    """Bursts to one actor after the other, each waited for by an ask."""
    refs = [system.ref(kind, str(number)) for number in range(CROWD)]
    message = Add(1)
    for burst in range(messages // BURST):
        ref = refs[burst % CROWD]
        for _ in range(BURST - 1):
            if not ref.tell(message):
                raise RuntimeError("the mailbox was full")
        await ref.ask(message)


async def tell_one_each(system: ActorSystem, kind: str, messages: int) -> None:
    """One message to each of many idle actors: every one has to be scheduled."""
    refs = [system.ref(kind, str(number)) for number in range(CROWD)]
    message = Add(1)
    for _ in range(messages // CROWD):
        for ref in refs[:-1]:
            ref.tell(message)
        await refs[-1].ask(message)


async def ask(system: ActorSystem, kind: str, messages: int) -> None:
    """One asker, one answer after the other."""
    ref = system.ref(kind, "0")
    for _ in range(messages):
        await ref.ask(Add(1))


async def ask_together(system: ActorSystem, kind: str, messages: int) -> None:
    """As many askers as actors."""

    async def one(number: int) -> None:
        ref = system.ref(kind, str(number))
        for _ in range(messages // CROWD):
            await ref.ask(Add(1))

    async with trio.open_nursery() as nursery:
        for number in range(CROWD):
            nursery.start_soon(one, number)


async def measure(system: ActorSystem, messages: int) -> None:
    way: Callable[[ActorSystem, str, int], Awaitable[None]]
    print(f"{'way':<16}{'handler':<10}{'messages/s':>12}{'µs each':>10}")
    for way in (tell, tell_one_each, ask, ask_together):
        for kind in ("counter", "waiter"):
            await way(system, kind, CROWD * BURST)  # wakes them, warms up
            began = time.process_time()
            await way(system, kind, messages)
            spent = time.process_time() - began
            handler = "plain" if kind == "counter" else "awaited"
            print(f"{way.__name__:<16}{handler:<10}{messages / spent:>12,.0f}{spent / messages * 1e6:>10.2f}")


async def memory(system: ActorSystem, actors: int) -> None:
    """Bytes of one more idle actor that has handled `messages` messages; the actor's own object included."""
    for messages in (1, 10):
        gc.collect()
        tracemalloc.start()
        kind = f"crowd{messages}"
        system.register(kind, lambda _: Counter(), supervision=Supervision())
        for number in range(actors):
            ref = system.ref(kind, f"ord_{number:026}")
            for value in range(messages):
                ref.tell(Add(1_000 + number + value))
            if number % 100 == 99:
                await ref.ask(Add(1))
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        size_bytes = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        print(f"idle actor that handled {messages} messages: {size_bytes / actors:,.0f} bytes")


async def run(actors: int, messages: int) -> None:
    async with ActorSystem.open() as system:
        system.register("counter", lambda _: Counter(), supervision=Supervision())
        system.register("waiter", lambda _: Waiter(), supervision=Supervision())
        await measure(system, messages)
        await memory(system, actors)
        tasks = system.stats().tasks
        print(f"tasks held by {sum(kind.living for kind in system.stats().kinds.values())} idle actors: {tasks}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, default=5_000, help="idle actors to weigh")
    parser.add_argument("--messages", type=int, default=100_000, help="messages each way")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    gc.set_threshold(50_000, 50, 1_000)
    trio.run(run, options.actors, options.messages)


if __name__ == "__main__":
    main()
