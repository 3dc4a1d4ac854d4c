"""The actor runtime: mailboxes, supervision, directory, and the ports clock, ids and randomness. Knows no tenant."""

from actors.runtime.actor import Actor
from actors.runtime.context import Child, Context
from actors.runtime.dead_letters import DeadLetter, DeadReason
from actors.runtime.errors import ActorCrashed, ActorError, AskTimeout, MailboxFull, Stopped
from actors.runtime.explain import Explanation, Stats
from actors.runtime.message import EndReason, Message, Terminated
from actors.runtime.ports import (
    Clock,
    Ids,
    Randomness,
    SeededRandomness,
    SystemClock,
    SystemIds,
    SystemRandomness,
    VirtualClock,
)
from actors.runtime.ref import Ref
from actors.runtime.supervisor import Escalation, Supervision, Supervisor
from actors.runtime.system import ActorSystem
from actors.runtime.timers import Timer

__all__ = [
    "Actor",
    "ActorCrashed",
    "ActorError",
    "ActorSystem",
    "AskTimeout",
    "Child",
    "Clock",
    "Context",
    "DeadLetter",
    "DeadReason",
    "EndReason",
    "Escalation",
    "Explanation",
    "Ids",
    "MailboxFull",
    "Message",
    "Randomness",
    "Ref",
    "SeededRandomness",
    "Stats",
    "Stopped",
    "Supervision",
    "Supervisor",
    "SystemClock",
    "SystemIds",
    "SystemRandomness",
    "Terminated",
    "Timer",
    "VirtualClock",
]
