"""What an agent's configuration may be: how a change meets the agent as it stands, and who may make it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict, fields, replace

from actors.tenant.changes import AgentChange, DeployAgent, UpdateAgent
from controlplane.store.agent_templates.template import AgentTemplate
from controlplane.store.agent_templates.tools import application_of, class_of
from protocol.faults import FieldProblem, ValidationError
from protocol.ids import AgentConfigId, OrderId
from protocol.objects import AgentConfig
from protocol.words import CommandClass, ToolOverride

T = TypeVar("T")
_NO_OVERRIDES: Final[Mapping[str, ToolOverride]] = {}
_HARMLESS: Final = frozenset({CommandClass.GREEN, CommandClass.YELLOW})


def within_bounds(change: AgentChange) -> AgentChange:
    """The change itself, once its values keep the bounds their types declare.

    Raises:
        ValidationError: one does not.
    """
    try:
        checked = msgspec.convert(msgspec.to_builtins(change), type(change))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        raise ValidationError.of(path.rstrip("`") or "body", message) from None
    for field in fields(checked):
        value = getattr(checked, field.name)
        if isinstance(value, str) and "\x00" in value:
            raise ValidationError.of(field.encode_name, "must not hold NUL")
    return checked


def deployed(
    change: DeployAgent,
    template: AgentTemplate | None,
    *,
    agent_config_id: AgentConfigId,
    order_id: OrderId,
    applications: Iterable[str],
) -> AgentConfig:
    """A new agent: what the change says, then what its role's template says.

    Args:
        applications: those on the order; the template's tools of any other are left out.

    Raises:
        ValidationError: the role has no template and a name or character is missing.
    """
    if template is None:
        missing = [field for field, value in (("name", change.name), ("soulMd", change.soul_md)) if value is UNSET]
        if missing:
            raise ValidationError(
                details=[FieldProblem(field, f"is needed: no template is called {change.role}") for field in missing]
            )
    present = {*applications, None}
    offered = template.tools_allowed if template else []
    shunned = template.tools_denied if template else []
    denied_by_change = _given(change.tools_denied, [])
    allowed_by_change = _given(change.tools_allowed, [])
    return AgentConfig(
        id=agent_config_id,
        order_id=order_id,
        agent_id=_given(change.agent_id, change.role),
        name=_given(change.name, template.name if template else ""),
        role=change.role,
        soul_md=_given(change.soul_md, template.soul_md if template else ""),
        # A template yields to what was said: it never makes a sound request contradict itself.
        tools_allowed=_given(
            change.tools_allowed,
            [tool for tool in offered if application_of(tool) in present and tool not in denied_by_change],
        ),
        tools_denied=_given(change.tools_denied, [tool for tool in shunned if tool not in allowed_by_change]),
        tool_profile=_given(change.tool_profile, template.tool_profile if template else "minimal"),
        autonomy_level=_given(change.autonomy_level, template.autonomy_level if template else 1),
        external_comms_unlocks=_given(
            change.external_comms_unlocks, template.external_comms_unlocks if template else None
        ),
        is_active=True,
        tool_overrides=dict(_given(change.tool_overrides, _NO_OVERRIDES)),
    )


#: Of a change: which agent it is for, and which version of it.
_NO_VALUES: Final = frozenset({"agent", "version"})


def updated(before: AgentConfig, change: UpdateAgent) -> AgentConfig:
    """The agent with the values the change sets."""
    values = {field: value for field, value in asdict(change).items() if field not in _NO_VALUES and value is not UNSET}
    return replace(before, **values)


def unlocked(before: AgentConfig, unlocks: Mapping[str, bool]) -> AgentConfig:
    """The agent with these gates opened or shut, the others as they were."""
    return replace(before, external_comms_unlocks={**(before.external_comms_unlocks or {}), **unlocks})


def check(before: AgentConfig | None, after: AgentConfig, *, unlocks_field: str = "externalCommsUnlocks") -> None:
    """What holds for everybody. Only what the change brings is judged, so that old entries never block a new change.

    Raises:
        ValidationError: names every bad entry.
    """
    problems = [
        *_doubled("toolsAllowed", after.tools_allowed),
        *_doubled("toolsDenied", after.tools_denied),
    ]
    denied_changed = before is None or before.tools_denied != after.tools_denied
    for tool in sorted(set(after.tools_allowed) & set(after.tools_denied)):
        field, other = ("toolsDenied", "toolsAllowed") if denied_changed else ("toolsAllowed", "toolsDenied")
        problems.append(FieldProblem(field, f"{tool} is also in {other}"))
    for tool in _fresh(before.external_comms_unlocks if before else None, after.external_comms_unlocks):
        if class_of(tool) is not CommandClass.YELLOW_EXTERNAL:
            message = f"has no gate to the outside: its class is {class_of(tool)}"
            problems.append(FieldProblem(f"{unlocks_field}.{tool}", message))
    for tool, override in _fresh(before.tool_overrides if before else None, after.tool_overrides).items():
        if override is ToolOverride.ALLOW and class_of(tool) is CommandClass.CRITICAL_RED:
            problems.append(FieldProblem(f"toolOverrides.{tool}", "is critical_red and always asks"))
    if problems:
        raise ValidationError(details=problems)


def check_customer(before: AgentConfig | None, after: AgentConfig, template: AgentTemplate | None) -> None:
    """What holds for customers besides: they may narrow an agent freely, and widen it short of what is red.

    A customer may give an agent any tool that is not red, and a red one that the role's template has (so that what was
    taken off can be put back). Denials of red tools are lifted by staff only. What a customer lets run unasked (`allow`
    in the overrides) is green or yellow: what is red keeps asking, and what reaches the outside has its own gate.
    Entries that staff made and that stay as they are do not count.

    Raises:
        ValidationError: names every entry that is staff's to make.
    """
    problems = []
    own = {*(before.tools_allowed if before else ()), *(template.tools_allowed if template else ())}
    for tool in after.tools_allowed:
        if tool not in own and _is_red(tool):
            problems.append(FieldProblem("toolsAllowed", f"{tool} is {class_of(tool)}: ask support to give it"))
    for tool in before.tools_denied if before else []:
        if tool not in after.tools_denied and _is_red(tool):
            problems.append(FieldProblem("toolsDenied", f"{tool} is {class_of(tool)}: ask support to take it off"))
    for tool, override in _fresh(before.tool_overrides if before else None, after.tool_overrides).items():
        if override is ToolOverride.ALLOW and class_of(tool) not in _HARMLESS:
            message = f"is {class_of(tool)} and cannot be set to run unasked"
            problems.append(FieldProblem(f"toolOverrides.{tool}", message))
    for tool, override in (before.tool_overrides if before else _NO_OVERRIDES).items():
        if override is ToolOverride.DENY and after.tool_overrides.get(tool) is not override and _is_red(tool):
            message = f"is {class_of(tool)} and was denied: ask support to lift it"
            problems.append(FieldProblem(f"toolOverrides.{tool}", message))
    if problems:
        raise ValidationError(details=problems)


def _is_red(tool: str) -> bool:
    return class_of(tool) in {CommandClass.RED, CommandClass.CRITICAL_RED}


def _given(value: T | UnsetType, otherwise: T) -> T:
    return otherwise if isinstance(value, UnsetType) else value


def _doubled(field: str, tools: Sequence[str]) -> list[FieldProblem]:
    return [FieldProblem(field, f"{tool} stands there twice") for tool in sorted({*tools}) if tools.count(tool) > 1]


def _fresh(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Mapping[str, Any]:
    held = before or {}
    return {tool: value for tool, value in (after or {}).items() if tool not in held or held[tool] != value}
