"""What stops a synth: the message says what was wrong, where, and the fix."""


class InfraError(Exception):
    """Base of all: `app.py` prints the message alone."""


class SettingsError(InfraError):
    """cdk.json or a `-c` override says something that cannot be meant."""


class PackageError(InfraError):
    """There is no package of the bundle, or it is not of this bundle and this handler."""
