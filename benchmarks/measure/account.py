"""The AWS account that is measured on: its identity, region and free concurrency, and whether it is real AWS."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from benchmarks.measure.errors import MeasureError
from console.setup.aws import NO_CREDENTIALS, credentials_of, ended, export, region_of

AWS, EMULATOR = "aws", "emulator"
HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")  # of every service of AWS, in all partitions
ASKED = ("lambda", "cloudformation")
# Of credentials. The CDK CLI reads the second form, too.
KEYS = tuple(
    f"{of}_{key}" for of in ("AWS", "AMAZON") for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
)


class Account(NamedTuple):
    """A session with its region. `free` is how many invocations may run at once."""

    session: Any
    region: str
    number: str
    platform: str
    free: int
    profile: str | None

    def client(self, service: str, seconds: float = 60, attempts: int = 5, connections: int = 10) -> Any:
        """Return a client of a service; `attempts` 1 does not send a request again."""
        config = Config(
            read_timeout=seconds,
            connect_timeout=20,
            retries={"total_max_attempts": attempts},
            max_pool_connections=connections,
        )
        return self.session.create_client(service, region_name=self.region, config=config)

    def environ(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the environment in which another program finds the same account and region.

        Keys among the variables would count before the profile: the stack would be made in their account, and looked
        for, and destroyed, in the profile's.
        """
        names = KEYS if self.profile else ()
        kept = {name: value for name, value in inherited.items() if name not in names}
        profile = dict.fromkeys(("AWS_PROFILE", "AWS_DEFAULT_PROFILE"), self.profile) if self.profile else {}
        return {**kept, **profile, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}


def find(profile: str | None, region: str | None) -> Account:
    """Read the account, by requests that cost nothing. Raises MeasureError without a region, and botocore's errors."""
    try:
        session = Session(profile=profile)
        where = region_of(session, region)
        credentials, unread = credentials_of(session)
    except BotoCoreError as error:
        raise MeasureError(f"{error}: check ~/.aws/config, and --profile") from error
    if unread:
        raise MeasureError(f"the credentials are of {unread}, and not read here: {export(profile)}")
    if credentials is None:
        raise MeasureError(f"no AWS credentials found: {NO_CREDENTIALS}")
    if not where:
        raise MeasureError("no region is set: give --region, as in --region eu-central-1, or set AWS_REGION")
    account = Account(session, where, "", EMULATOR, 0, profile)
    try:
        number = account.client("sts").get_caller_identity()["Account"]
    except ended() as error:
        raise MeasureError(f"{error}: {NO_CREDENTIALS}") from error
    limits = account.client("lambda").get_account_settings()["AccountLimit"]
    free = limits.get("UnreservedConcurrentExecutions") or limits["ConcurrentExecutions"]
    return account._replace(number=number, platform=_platform(account), free=free)


def _platform(account: Account) -> str:
    """Tell whether all addresses are AWS's own: other figures must not be published as those of AWS."""
    hosts = [urlsplit(account.client(service).meta.endpoint_url).hostname or "" for service in ASKED]
    return AWS if all(host.endswith(HOSTS) for host in hosts) else EMULATOR
