"""The Hub as handlers and guards may touch it: a plain box that wiring fills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.root import order_of, tenant_of
from actors.runtime.ports import Clock, Ids, Randomness
from actors.runtime.ref import Ref
from actors.runtime.system import ActorSystem
from controlplane.api.limits import Limits
from controlplane.api.metrics import Metrics
from controlplane.secret import Secret
from controlplane.services.accounts import AccountService
from controlplane.services.credentials import CredentialService
from controlplane.services.invitations import InvitationService
from controlplane.services.live_query import LiveQueries
from controlplane.services.mail import MailService
from controlplane.services.photos import PhotoService
from controlplane.services.sealing import Sealer
from controlplane.services.sessions import SessionService
from controlplane.services.staff import StaffService
from controlplane.services.two_factor import TwoFactorService
from controlplane.services.upkeep import Upkeep
from controlplane.store.activities import ActivityStore
from controlplane.store.agents import AgentStore
from controlplane.store.api_keys import ApiKeyStore
from controlplane.store.approvals import ApprovalStore
from controlplane.store.audit_log import AuditLog
from controlplane.store.backups import BackupStore
from controlplane.store.billing import BillingStore
from controlplane.store.commands import CommandStore
from controlplane.store.customers import CustomerStore
from controlplane.store.events import EventStore
from controlplane.store.founding_members import FoundingMemberStore
from controlplane.store.orders import OrderStore
from controlplane.store.outside_orders import OutsideOrderStore
from controlplane.store.polling import PollingStore
from controlplane.store.preferences import PreferenceStore
from controlplane.store.servers import ServerStore
from controlplane.store.session_endings import SessionEndings
from controlplane.store.system_settings import SettingStore
from controlplane.store.usage import UsageStore
from controlplane.store.webhooks import ServerWebhookStore
from protocol.ids import OrderId

#: Says what is not ready, in words for an operator, or None when all is well.
ReadinessCheck = Callable[[], Awaitable[str | None]]


class NotWired:
    """Stands where a Hub was built without a part: using it says so, at once and loudly."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"this Hub was built without the part that has {name!r}")


def _not_wired() -> Any:
    return NotWired()


@dataclass(kw_only=True)
class Hub:
    """What handlers may touch.

    Args:
        csrf_secret: what marks a CSRF cookie as this Hub's own; the same on every node.
        public_url: scheme and authority under which people and wrappers reach this Hub, without a trailing slash.
        allowed_origins: web origins whose pages may use the cookies of this Hub besides its own.
        trusted_proxies: how many proxies stand before this process and add to X-Forwarded-For.
        readiness: asked by `/readyz`, each within two seconds.
        draining: this process is on its way out; `/readyz` says so.
        request_deadline_seconds: after this an unanswered request is answered with OVERLOADED.
    """

    clock: Clock
    ids: Ids
    randomness: Randomness
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    accounts: AccountService = field(default_factory=_not_wired)
    sessions: SessionService = field(default_factory=_not_wired)
    session_endings: SessionEndings = field(default_factory=_not_wired)
    credentials: CredentialService = field(default_factory=_not_wired)
    two_factor: TwoFactorService = field(default_factory=_not_wired)
    staff: StaffService = field(default_factory=_not_wired)
    invitations: InvitationService = field(default_factory=_not_wired)
    photos: PhotoService = field(default_factory=_not_wired)
    customers: CustomerStore = field(default_factory=_not_wired)
    orders: OrderStore = field(default_factory=_not_wired)
    outside_orders: OutsideOrderStore = field(default_factory=_not_wired)
    approvals: ApprovalStore = field(default_factory=_not_wired)
    commands: CommandStore = field(default_factory=_not_wired)
    servers: ServerStore = field(default_factory=_not_wired)
    webhooks: ServerWebhookStore = field(default_factory=_not_wired)
    polling: PollingStore = field(default_factory=_not_wired)
    agents: AgentStore = field(default_factory=_not_wired)
    events: EventStore = field(default_factory=_not_wired)
    questions: LiveQueries = field(default_factory=_not_wired)
    sealer: Sealer = field(default_factory=_not_wired)
    mail: MailService = field(default_factory=_not_wired)
    preferences: PreferenceStore = field(default_factory=_not_wired)
    settings: SettingStore = field(default_factory=_not_wired)
    api_keys: ApiKeyStore = field(default_factory=_not_wired)
    founding_members: FoundingMemberStore = field(default_factory=_not_wired)
    usage: UsageStore = field(default_factory=_not_wired)
    billing: BillingStore = field(default_factory=_not_wired)
    backups: BackupStore = field(default_factory=_not_wired)
    activities: ActivityStore = field(default_factory=_not_wired)
    audit: AuditLog = field(default_factory=_not_wired)
    upkeep: Upkeep = field(default_factory=_not_wired)
    cron_secret: Secret = field(default_factory=_not_wired, repr=False)
    system: ActorSystem = field(default_factory=_not_wired)
    csrf_secret: bytes = field(default_factory=_not_wired, repr=False)
    public_url: str = "http://127.0.0.1:8000"
    allowed_origins: Sequence[str] = ()
    trusted_proxies: int = 0
    readiness: Sequence[ReadinessCheck] = ()
    draining: bool = False
    request_deadline_seconds: float = 30.0

    def tenant(self, order_id: OrderId) -> Ref:
        """The address of an order's tenant."""
        return tenant_of(self.system, order_id)

    def order(self, order_id: OrderId) -> Ref:
        """The address of an order."""
        return order_of(self.system, order_id)

    @property
    def secure(self) -> bool:
        """People reach this Hub over https: cookies are Secure, and HSTS is sent."""
        return self.public_url.startswith("https://")
