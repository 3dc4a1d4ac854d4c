"""Letters about approvals that wait: one request, several, or a digest."""

from __future__ import annotations

from typing import Final

from controlplane.services.letters.letter import Item, Letter, Link, moment, quoted
from controlplane.store.approval_mail import Notice, Waiting
from protocol.words import ApprovalMail, CommandClass

_MEANING: Final = {
    CommandClass.GREEN: "green: reads only",
    CommandClass.YELLOW: "yellow: changes something",
    CommandClass.YELLOW_EXTERNAL: "yellow: reaches the outside",
    CommandClass.RED: "red: cannot be undone",
    CommandClass.CRITICAL_RED: "critical: destroys live data",
}


def approvals_letter(notice: Notice, public_url: str) -> Letter:
    """What waits for a customer's decision; its links lead to the cards and open nothing by themselves."""
    page = f"{public_url}/customer/approvals"
    items = [_item(waiting, page, notice.timezone) for waiting in notice.listed]
    if notice.total == 1 and notice.mode is not ApprovalMail.DIGEST:
        [only] = notice.listed
        subject = f"A request waits for your decision on {only.domain}"
        said = ["One of your agents wants to do something and waits for you. Nothing of it runs until you decide."]
        link = Link("Decide", items[0].link.url)
    else:
        subject = f"{_requests(notice.total)} for your decision"
        said = ["Your agents want to do the following and wait for you. Nothing of it runs until you decide."]
        link = Link("See all that waits", page)
    if notice.total > len(items):
        said.append(f"The first {len(items)} of {notice.total} are listed here.")
    how = {
        ApprovalMail.AT_ONCE: "You are told at once, at most once a minute.",
        ApprovalMail.DIGEST: "You are told in a digest.",
        ApprovalMail.NEVER: "",
    }[notice.mode]
    return Letter(
        subject=subject,
        title=f"{_requests(notice.total)} for you",
        paragraphs=[f"Hello {quoted(notice.name, 80)},", *said],
        items=items,
        link=link,
        small=[
            f"{how} To change that to at once, a digest or never: sign in at {public_url}/customer, Settings.",
            "What stands indented is in your agents' own words. The links need your sign-in.",
        ],
    )


def _requests(count: int) -> str:
    return "1 request waits" if count == 1 else f"{count} requests wait"


def _item(waiting: Waiting, page: str, timezone: str) -> Item:
    facts = [
        f"Agent {quoted(waiting.agent_id, 80)}, tool {quoted(waiting.tool_name, 80)}, on {waiting.domain}",
        f"Expires {moment(waiting.expires_at, timezone)}",
    ]
    if waiting.impact:
        facts.insert(1, f"Touches: {quoted(waiting.impact, 120)}")
    return Item(
        title=_MEANING[waiting.command_class],
        quote=quoted(waiting.human_readable),
        facts=facts,
        link=Link("Open this request", f"{page}/{waiting.id}"),
    )
