"""Settings that the Hub itself reads: what tiers hold, how long things are kept, mail, and what people are told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta

from controlplane.secret import Secret
from controlplane.system_settings.category import EMAIL_ADDRESS, HOST, Category
from protocol.words import ApprovalMail

#: More tokens a month than anybody uses; keeps sums within 64 bits.
MOST_TOKENS: Final = 1_000_000_000_000
MOST_CENTS: Final = 100_000_000
_STRIPE: Final = {"awaits": "Stripe"}

Tool = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$(?!\n)")]
ModelPrefix = Annotated[str, Meta(pattern=r"^[!-~]{1,200}$(?!\n)")]


class Hub(Category, frozen=True):
    """What customers buy, and how long things are kept."""

    tokens_lite: Annotated[
        int,
        Meta(ge=0, le=MOST_TOKENS, description="Tokens a month of tier Lite (plan STARTER), for new subscriptions."),
    ] = 2_500_000
    tokens_build: Annotated[
        int, Meta(ge=0, le=MOST_TOKENS, description="Tokens a month of tier Build (plan PRO), for new subscriptions.")
    ] = 7_500_000
    tokens_scale: Annotated[
        int,
        Meta(
            ge=0, le=MOST_TOKENS, description="Tokens a month of tier Scale (plan ENTERPRISE), for new subscriptions."
        ),
    ] = 20_000_000
    tools_lite: Annotated[
        tuple[Tool, ...], Meta(max_length=100, description="Tools of an order of tier Lite that names none.")
    ] = ("nextcloud", "calcom", "stalwart", "umami")
    tools_build: Annotated[
        tuple[Tool, ...], Meta(max_length=100, description="Tools of an order of tier Build that names none.")
    ] = ("nextcloud", "chatwoot", "ghost", "calcom", "odoo", "stalwart", "listmonk", "umami")
    tools_scale: Annotated[
        tuple[Tool, ...], Meta(max_length=100, description="Tools of an order of tier Scale that names none.")
    ] = ("nextcloud", "chatwoot", "ghost", "calcom", "odoo", "stalwart", "listmonk", "umami", "n8n", "nocodb", "gitea")
    price_lite_cents: Annotated[int, Meta(ge=0, le=MOST_CENTS, description="Price of tier Lite a month, in cents.")] = (
        2_900
    )
    price_build_cents: Annotated[
        int, Meta(ge=0, le=MOST_CENTS, description="Price of tier Build a month, in cents.")
    ] = 7_900
    price_scale_cents: Annotated[
        int, Meta(ge=0, le=MOST_CENTS, description="Price of tier Scale a month, in cents.")
    ] = 19_900
    overage_cents_per_million: Annotated[
        int, Meta(ge=0, le=MOST_CENTS, description="Price of a million tokens beyond the limit, in cents.")
    ] = 150
    premium_models: Annotated[
        tuple[ModelPrefix, ...],
        Meta(
            max_length=100,
            description="Models paid by use, which do not draw on a tier's tokens, by how their names begin.",
        ),
    ] = ("anthropic/",)
    currency: Annotated[
        str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="The currency of all prices (ISO 4217).")
    ] = "EUR"
    founding_member_places: Annotated[
        int, Meta(ge=0, le=100_000, description="How many founding members there may be.")
    ] = 100
    founding_member_multiplier: Annotated[
        int, Meta(ge=1, le=100, description="A new founding member's token limit is the tier's times this.")
    ] = 2
    founding_member_months: Annotated[
        int, Meta(ge=1, le=120, description="How many months a new founding member's advantage lasts.")
    ] = 12
    registration_token_days: Annotated[
        int, Meta(ge=1, le=90, description="How many days a new registration token of a server is good for.")
    ] = 7
    command_expiry_hours: Annotated[
        int, Meta(ge=1, le=720, description="How many hours a command waits for an offline server unless said with it.")
    ] = 24
    events_kept_days: Annotated[
        int, Meta(ge=1, le=365, description="How many days the timeline of events goes back.")
    ] = 7
    promises_kept_days: Annotated[
        int, Meta(ge=7, le=365, description="How many days what a server has acknowledged is kept.")
    ] = 30
    messages_kept_days: Annotated[
        int,
        Meta(ge=30, le=3650, description="How many days a server's message is known, so that it is not taken twice."),
    ] = 180
    stats_kept_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3650,
            description="How many days statistics, and usage by the hour, are kept; stats-cleanup deletes them.",
        ),
    ] = 90
    default_timezone: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_+/-]{1,64}$(?!\n)",
            description="Time zone of customers who have chosen none (IANA name).",
        ),
    ] = "UTC"
    default_locale: Annotated[
        str,
        Meta(
            pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$(?!\n)",
            description="Language of customers who have chosen none (BCP 47 tag).",
        ),
    ] = "en"


class MailSecurity(StrEnum):
    """How the connection to the mail server is secured."""

    STARTTLS = "starttls"
    TLS = "tls"


class Email(Category, frozen=True):
    """How mail goes out, where HUB_SMTP_URL does not say."""

    smtp_host: Annotated[str, Meta(pattern=HOST, description="The mail server. None: no mail is sent.")] | None = None
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="The mail server's port.")] = 587
    smtp_security: Annotated[
        MailSecurity,
        Meta(description="How the connection is secured: STARTTLS after it began, or TLS from the first byte."),
    ] = MailSecurity.STARTTLS
    smtp_user: (
        Annotated[
            str, Meta(pattern=r"^[!-~]{1,254}$(?!\n)", description="Who signs in at the mail server. None: nobody.")
        ]
        | None
    ) = None
    smtp_password: (
        Annotated[Secret, Meta(description="The password of the mail server's user: printable ASCII.")] | None
    ) = None
    from_address: (
        Annotated[str, Meta(pattern=EMAIL_ADDRESS, max_length=254, description="The address that mail comes from.")]
        | None
    ) = None
    from_name: Annotated[
        str, Meta(pattern=r"^[^\x00-\x1f\x7f<>\"]{0,100}$(?!\n)", description="The name beside that address.")
    ] = "LetsBe Hub"
    kept_days: Annotated[
        int,
        Meta(ge=1, le=365, description="How many days it is known that a mail was sent; its text is erased at once."),
    ] = 30


class Notifications(Category, frozen=True):
    """What people are told of."""

    approval_mail: Annotated[
        ApprovalMail, Meta(description="When customers who have not chosen are told by mail of approvals that wait.")
    ] = ApprovalMail.AT_ONCE
    usage_alert_percent: Annotated[
        int, Meta(ge=1, le=100, description="Share of the token limit at which a customer is warned.", extra=_STRIPE)
    ] = 80
    error_cooldown_minutes: Annotated[
        int,
        Meta(
            ge=1,
            le=10_080,
            description="Pause between two alerts of the same error of an enterprise server.",
            extra={"awaits": "Portainer"},
        ),
    ] = 60
    container_alerts: Annotated[
        bool, Meta(description="Whether a container that stopped is told by mail.", extra={"awaits": "Portainer"})
    ] = True
