"""What `make deploy` and `doctor --setup` say of credentials that are of a sign-in: botocore reads the configuration.

AWS CLI v2, "Login for AWS local development using console credentials" (`aws login` writes `login_session`), and
"Configuring IAM Identity Center authentication".
"""

import os
from pathlib import Path

import botocore.credentials
import pytest

from benchmarks.measure import account as measured
from benchmarks.measure.errors import MeasureError
from console.setup import aws
from console.setup.check import MISSING, OK, UNKNOWN, Check
from console.setup.examine import stops

SIGN_IN = """[default]
region = eu-central-1
login_session = arn:aws:iam::111122223333:user/ann
[profile sso]
region = eu-central-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Admin
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
[profile coded]
region = eu-central-1
role_arn = arn:aws:iam::111122223333:role/deployer
source_profile = keys
mfa_serial = arn:aws:iam::111122223333:mfa/ann
[profile behind]
region = eu-central-1
role_arn = arn:aws:iam::444455556666:role/there
source_profile = coded
[profile keys]
region = eu-central-1
aws_access_key_id = A
aws_secret_access_key = S
mfa_serial = arn:aws:iam::111122223333:mfa/ann
"""


@pytest.fixture(autouse=True)
def signed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration as the AWS CLI writes it, and no library that botocore wants for `aws login`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(SIGN_IN)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # nothing is signed in
    monkeypatch.setattr(botocore.credentials, "EC", None)


def looked(profile: str | None = None) -> dict[str, Check]:
    return {check.name: check for check in aws.account(profile, None)}


@pytest.mark.parametrize(
    ("profile", "whose", "command"),
    [
        (None, "`aws login`", "export-credentials --format env"),
        ("coded", "a role that wants an MFA code", "export-credentials --profile coded --format env"),
        ("behind", "a role that wants an MFA code", "export-credentials --profile behind --format env"),
    ],
)
def test_credentials_that_the_cdk_cli_alone_reads_stop_no_deployment_and_nobody_is_asked_for_a_code(
    profile: str | None, whose: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CDK CLI has its own way to each of them. What measures has none, so that says how to give them."""
    monkeypatch.setattr(aws, "_asked", lambda *_: pytest.fail("botocore would ask on the terminal"))
    found = looked(profile)

    assert stops([*found.values()], "deploy") == []
    assert (found["credentials"].state, found["region"].state) == (UNKNOWN, OK)
    assert found["credentials"].found == f"those of {whose}, which are not read here"
    assert command in found["credentials"].fix
    with pytest.raises(MeasureError, match=f"the credentials are of {whose}, .*{command}"):
        measured.find(profile, None)


def test_keys_of_somebody_who_has_an_mfa_device_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs read the device's name there; for keys themselves no code is wanted."""
    monkeypatch.setattr(aws, "_asked", lambda *_: [Check("credentials", OK, "asked")])

    assert looked("keys")["credentials"].found == "asked"


def test_a_sign_in_that_has_ended_is_not_told_as_a_network_that_is_down() -> None:
    found = looked("sso")["credentials"]

    assert found.state == MISSING
    assert "SSO" in found.found
    assert "`aws sso login`" in found.fix
    with pytest.raises(MeasureError, match=r"SSO .*: run .*`aws sso login`"):
        measured.find("sso", None)


def test_measuring_without_credentials_says_how_to_have_some(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\nregion = eu-central-1\n")

    with pytest.raises(MeasureError, match="no AWS credentials found: run `aws login`"):
        measured.find(None, None)
