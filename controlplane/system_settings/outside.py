"""Settings of outside systems: kept, checked and sealed here; each says which system will read it once connected."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from controlplane.secret import Secret
from controlplane.system_settings.category import HOST, NAME, URL, Category

_SSH: Final = {"awaits": "SSH"}
_DNS: Final = {"awaits": "DNS"}
_CLOUDFLARE: Final = {"awaits": "Cloudflare"}


class Provisioning(Category, frozen=True):
    """How a tenant's server is made ready."""

    AWAITS: ClassVar[str | None] = "Docker"

    ssh_port: Annotated[
        int,
        Meta(ge=1, le=65535, description="Port of SSH of a new order that names none.", extra={"awaits": None}),
    ] = 22022
    ssh_user: Annotated[
        str, Meta(pattern=r"^[a-z_][a-z0-9_-]{0,31}$(?!\n)", description="Who signs in on a fresh server.", extra=_SSH)
    ] = "root"
    ssh_private_key: (
        Annotated[Secret, Meta(description="The private key by which fresh servers are reached.", extra=_SSH)] | None
    ) = None
    ssh_wait_minutes: Annotated[
        int, Meta(ge=1, le=240, description="How long a fresh server may take until SSH answers.", extra=_SSH)
    ] = 15
    base_domain: Annotated[
        str, Meta(pattern=HOST, description="The domain below which tenants get theirs.", extra=_DNS)
    ] = "letsbe.biz"
    dns_resolvers: Annotated[
        tuple[Annotated[str, Meta(pattern=HOST)], ...],
        Meta(max_length=5, description="Servers that are asked whether DNS records are there.", extra=_DNS),
    ] = ("1.1.1.1", "9.9.9.9")
    dns_wait_minutes: Annotated[
        int, Meta(ge=1, le=2880, description="How long DNS records may take to be seen.", extra=_DNS)
    ] = 60
    cloudflare_token: (
        Annotated[Secret, Meta(description="The API token by which DNS records are made.", extra=_CLOUDFLARE)] | None
    ) = None
    timeout_minutes: Annotated[int, Meta(ge=5, le=720, description="How long one provisioning job may take.")] = 90
    attempts: Annotated[int, Meta(ge=1, le=10, description="How often a failed job is tried.")] = 3
    concurrent_jobs: Annotated[int, Meta(ge=1, le=50, description="How many jobs run at a time.")] = 4


class PullPolicy(StrEnum):
    """When an image is fetched."""

    ALWAYS = "always"
    MISSING = "missing"


class Docker(Category, frozen=True):
    """The Docker Engine that provisioners run on."""

    AWAITS: ClassVar[str | None] = "Docker"

    host: Annotated[
        str,
        Meta(
            pattern=r"^(unix:///[^\s]{1,200}|tcp://[A-Za-z0-9.:-]{1,253})$(?!\n)",
            description="Where the Docker Engine listens.",
        ),
    ] = "unix:///var/run/docker.sock"
    provisioner_image: Annotated[str, Meta(pattern=NAME, description="The image of the provisioner.")] = (
        "letsbe/provisioner"
    )
    provisioner_tag: Annotated[str, Meta(pattern=NAME, description="The tag of that image.")] = "latest"
    pull_policy: Annotated[PullPolicy, Meta(description="When the image is fetched.")] = PullPolicy.MISSING
    network: Annotated[str, Meta(pattern=NAME, description="The network of its containers.")] = "bridge"
    memory_mb: Annotated[int, Meta(ge=64, le=65_536, description="Memory of one container, in megabytes.")] = 512
    cpus: Annotated[float, Meta(ge=0.1, le=64, description="Processors of one container.")] = 1.0


class Dockerhub(Category, frozen=True):
    """The account by which images are fetched."""

    AWAITS: ClassVar[str | None] = "Docker Hub"

    registry_url: Annotated[str, Meta(pattern=URL, description="The address of the registry.")] = (
        "https://index.docker.io/v1/"
    )
    username: Annotated[str, Meta(pattern=NAME, description="The account's name. None: anonymous.")] | None = None
    token: Annotated[Secret, Meta(description="The account's access token.")] | None = None
    namespace: Annotated[str, Meta(pattern=NAME, description="Where our images lie.")] = "letsbe"


class Gitea(Category, frozen=True):
    """The Git server that the stacks of tools come from."""

    AWAITS: ClassVar[str | None] = "Gitea"

    url: Annotated[str, Meta(pattern=URL, description="The address of the Git server.")] | None = None
    username: Annotated[str, Meta(pattern=NAME, description="The account's name.")] | None = None
    token: Annotated[Secret, Meta(description="The account's access token.")] | None = None
    organization: Annotated[str, Meta(pattern=NAME, description="The organization that owns the stacks.")] = "letsbe"
    stacks_repository: Annotated[str, Meta(pattern=NAME, description="The repository of the stacks.")] = "stacks"
    stacks_branch: Annotated[str, Meta(pattern=NAME, description="The branch that servers get.")] = "main"


class Netcup(Category, frozen=True):
    """The provider of servers."""

    AWAITS: ClassVar[str | None] = "Netcup"

    api_url: Annotated[str, Meta(pattern=URL, description="The base address of its API.")] = (
        "https://www.servercontrolpanel.de/scp-core/api/v1"
    )
    auth_url: Annotated[str, Meta(pattern=URL, description="Where it signs us in.")] = (
        "https://www.servercontrolpanel.de/realms/scp/protocol/openid-connect"
    )
    client_id: Annotated[str, Meta(pattern=NAME, description="Our client id there.")] = "scp"
    timeout_seconds: Annotated[int, Meta(ge=1, le=120, description="How long an answer may take.")] = 20
    poll_seconds: Annotated[int, Meta(ge=1, le=300, description="How often a running task is asked after.")] = 5
    maximum_snapshots: Annotated[int, Meta(ge=1, le=100, description="How many snapshots of a server are kept.")] = 3


class Storage(Category, frozen=True):
    """The object storage of photos and backups."""

    AWAITS: ClassVar[str | None] = "S3"

    endpoint: Annotated[str, Meta(pattern=URL, description="The address of the storage.")] | None = None
    region: Annotated[str, Meta(pattern=NAME, description="The region of the bucket.")] = "eu-central-1"
    bucket: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$(?!\n)", description="The name of the bucket.")
    ] = "letsbe-hub"
    access_key_id: (
        Annotated[str, Meta(pattern=r"^[!-~]{1,128}$(?!\n)", description="Who signs in at the storage.")] | None
    ) = None
    secret_access_key: Annotated[Secret, Meta(description="The secret of who signs in.")] | None = None
    path_style: Annotated[bool, Meta(description="Whether the bucket stands in the path, as MinIO wants it.")] = True
    prefix: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._/-]{0,128}$(?!\n)", description="What stands before every object's name.")
    ] = ""
    timeout_seconds: Annotated[int, Meta(ge=1, le=300, description="How long a request may take.")] = 30
