"""Credentials of `aws login` and `aws sso login`, where botocore cannot have them: the message says what to do."""

import os
from pathlib import Path

import botocore.credentials
import pytest
from botocore.session import Session
from openclip_lambda import credentials
from openclip_lambda.batch.aws import asking
from openclip_lambda.errors import ClientError

# As the AWS CLI writes them. Nobody is signed in.
CONFIG = """[profile login]
region = eu-central-1
login_session = arn:aws:iam::111122223333:user/ann
[profile sso]
region = eu-central-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Reader
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
"""


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("login", r'of `aws login`, which needs one more package: (pip install|pipx inject \S+) "botocore\[crt\]"$'),
        ("sso", r"SSO Token.* Sign in again: `aws sso login`"),
    ],
)
def test_a_sign_in_that_botocore_cannot_use_is_told_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str, says: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(CONFIG)
    own = {"CONFIG_FILE": str(tmp_path / "config"), "SHARED_CREDENTIALS_FILE": os.devnull, "PROFILE": profile}
    for name, value in own.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(botocore.credentials, "EC", None)  # of the package that is not installed

    with pytest.raises(ClientError, match=says):
        credentials.signature(None)
    with pytest.raises(ClientError, match=f"^the stack openclip: .*{says}"), asking("the stack openclip"):
        Session().create_client("sts").get_caller_identity()
