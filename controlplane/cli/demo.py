"""`hub demo`: a Hub with ten small companies and their twelve live tenants on this machine, to look at and to try."""

from __future__ import annotations

from functools import partial

import click
import trio

from controlplane.cli import Refused
from controlplane.demo.failure import DemoFailed
from controlplane.demo.run import run
from controlplane.opening import open_ground
from controlplane.settings import Settings


@click.command("demo")
@click.option("--bind", metavar="HOST:PORT", help="Listen here instead of HUB_BIND; port 0 takes a free one.")
def command(bind: str | None) -> None:
    """Run a Hub with ten small companies and their twelve tenants, whose agents ask at a human pace.

    Prints one screen: the sign-ins of staff and of a customer, what to try in the browser, and curl lines that list
    what the agents ask for, decide, and show what became of it. The other companies' people decide by themselves.
    One tenant keeps losing its socket, one has left, one refuses newer configurations.

    The Hub and the wrappers are those of `hub serve` and `safety-wrapper run`: the customer's three are a process
    each, the nine others share one. What ends is started again. Ctrl-C ends them all. State, passwords included,
    stays in HUB_STATE_DIR, and the next start continues. A Hub that is in use already is left alone.

    \b
    Examples:
      hub demo
      HUB_STATE_DIR=/tmp/demo hub demo --bind 127.0.0.1:9000
    """
    settings = Settings.of_process(bind=bind)
    folder = open_ground(settings)
    try:
        trio.run(partial(run, settings, folder))
    except DemoFailed as failure:
        raise Refused([str(failure)]) from None
    except ExceptionGroup as group:
        # Several may fail in the same moment; what nobody wrote a sentence for keeps its traceback.
        failures, others = group.split(DemoFailed)
        if others is not None or failures is None:
            raise
        raise Refused(sorted({str(failure) for failure in _leaves(failures)})) from None


def _leaves(group: ExceptionGroup[DemoFailed]) -> list[DemoFailed]:
    found: list[DemoFailed] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found
