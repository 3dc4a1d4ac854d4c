"""Going away: in order, and in time, whatever the peers do."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import connect


async def test_sockets_are_closed_with_1012_and_the_hook_comes_first(door):
    async with connect(door.socket_url, compression=None) as client:
        door.shutdown.set()
        with trio.fail_after(2):
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    with trio.fail_after(2):
        await door.ended.wait()
    assert door.drained == ["hook"]
    assert door.route.closed == [(1012, "this node is going away")]


async def test_a_request_in_flight_is_answered(door, read_all, until):
    stream = await door.dial()
    async with stream:
        await stream.send_all(b"GET /slow HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        with trio.fail_after(5):
            await until(lambda: door.door.http.connections)
            door.shutdown.set()
            assert (await read_all(stream)).endswith(b"slow")
            await door.ended.wait()


async def test_nobody_is_let_in_any_more(door):
    door.shutdown.set()
    with trio.fail_after(3):
        await door.ended.wait()
    with pytest.raises(OSError):
        await door.dial()


async def test_it_ends_in_time_with_peers_stuck_in_every_way(door, frame, until):
    """A silent arrival, half a head, a waiting admission, sockets that never read, requests that never end."""
    async with AsyncExitStack() as stack:

        async def stuck(data: bytes):
            stream = await door.dial()
            stack.push_async_callback(stream.aclose)
            await stream.send_all(data)
            return stream

        sockets = [await door.upgraded() for _ in range(3)]
        for stream in sockets:
            stack.push_async_callback(stream.aclose)
        for connection in door.route.opened:
            connection.send_text(b"x" * 1_900_000)
        door.route.gate = trio.Event()
        await stuck(b"")
        await stuck(b"GET /hel")
        await stuck(b"GET /hello HTTP/1.1\r\nHost: ")
        await stuck(b"GET /never HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        await stuck(b"GET /large HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        await stuck(b"GET /api/v1/test/socket HTTP/1.1\r\n")
        await stuck(door.upgrade_request())
        await until(lambda: len(door.route.upgrades) >= 4 and door.door.http.connections >= 3)
        began = trio.current_time()
        door.shutdown.set()
        with trio.fail_after(10):
            await door.ended.wait()
        limits = door.options
        assert trio.current_time() - began < limits.hook_seconds + limits.drain_seconds + limits.lifespan_seconds + 1
    assert [code for code, _ in door.route.closed] == [1012] * 3


async def test_a_hook_that_hangs_or_fails_is_no_obstacle(nursery, app, options):
    from controlplane.door.front import serve

    async def fails() -> None:
        raise ZeroDivisionError

    for hook in (trio.sleep_forever, fails):
        shutdown = trio.Event()
        shutdown.set()
        with trio.fail_after(3):
            await serve(bind="127.0.0.1:0", app=app, routes={}, shutdown=shutdown, on_drain=hook, options=options)


async def test_new_sockets_are_refused_while_http_still_answers(nursery, app, options):
    """While the hook runs, a balancer can still read that this node is not ready."""
    from controlplane.door.front import serve

    hook_runs, hook_ends, shutdown = trio.Event(), trio.Event(), trio.Event()

    async def hook() -> None:
        hook_runs.set()
        await hook_ends.wait()

    async def run(task_status):
        await serve(
            bind="127.0.0.1:0",
            app=app,
            routes={"/socket": None},
            shutdown=shutdown,
            on_drain=hook,
            options=options,
            task_status=task_status,
        )

    door = await nursery.start(run)
    shutdown.set()
    await hook_runs.wait()
    for request, expected in ((b"GET /hello", b"200"), (b"GET /socket", b"426")):
        stream = await trio.open_tcp_stream("127.0.0.1", door.port)
        async with stream:
            await stream.send_all(request + b" HTTP/1.1\r\nHost: hub.test\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 " + expected)
    hook_ends.set()
