"""Examines a wrapper's message before it goes to the book: what can be refused without asking the database."""

from __future__ import annotations

import msgspec

from protocol.canonical import NotCanonical, args_hash
from protocol.tenant import ApprovalRequest, TenantMessage


def refusal_of(message: TenantMessage) -> str | None:
    """Why a message cannot be taken, or None.

    The hash of an approval request is computed again, so that what a person sees is exactly what may run. Text with
    a NUL character cannot be stored and is refused; in a tool's arguments it is allowed, they are kept as JSON.
    """
    if isinstance(message, ApprovalRequest):
        try:
            expected = args_hash(message.tool_name, msgspec.json.decode(message.tool_args))
        except (NotCanonical, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return f"toolArgs: has no canonical form: {error}"
        if message.args_hash != expected:
            return f"argsHash: is not that of toolName and toolArgs, which is {expected}"
    return "a text field: must not contain NUL" if _holds_nul(message) else None


def _holds_nul(value: object) -> bool:
    """Whether any text within holds a NUL; JSON kept as JSON (Raw) may."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(_holds_nul(inner) for inner in value)
    if isinstance(value, msgspec.Struct):
        return any(_holds_nul(inner) for inner in msgspec.structs.astuple(value))
    return False


def impact_of(human_readable: str) -> str | None:
    """What a command touches, when the wrapper does not say: the trailing parenthesis of its sentence."""
    sentence = human_readable.rstrip()
    if not sentence.endswith(")"):
        return None
    depth = 0
    for position in range(len(sentence) - 1, -1, -1):
        if sentence[position] == ")":
            depth += 1
        elif sentence[position] == "(":
            depth -= 1
            if depth == 0:
                return sentence[position + 1 : -1].strip() or None
    return None
