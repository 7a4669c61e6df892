"""Every error of the builder: what was wrong, where, and the fix. The command line prints the message alone."""


class BuildError(Exception):
    """Base of all: a build, or a check of one, that cannot go on."""


class SpecError(BuildError):
    """models.toml says something that cannot be meant."""


class VersionError(BuildError):
    """A library is installed in a version that cannot build bundles."""


class PlanError(BuildError):
    """It is not known which repositories a model needs, or one of them lacks what the model needs."""


class RegistryError(BuildError):
    """No pair of open_clip's registry is what was asked for."""


class DemoError(BuildError):
    """The demo did not show what it has to show."""


class FetchError(BuildError):
    """The hub did not give a file."""


class UnauthorizedError(FetchError):
    """The hub takes no request without a token, or not with this one."""


class UnreachableError(FetchError):
    """The hub was not reached at all: no network, or told to stay offline."""


class CacheLayoutError(BuildError):
    """A cache is not one that loads offline."""


class GoldenError(BuildError):
    """open_clip itself cannot load the model from the cache that was built."""


class VerifyError(BuildError):
    """The bundle is not what its manifest says, or the shipped handler does not agree with open_clip on it."""


class ExportError(BuildError):
    """A model cannot be had on a fast engine, or not as exactly as is demanded."""


class PackageError(BuildError):
    """A bundle cannot be packaged for its target, or would not fit what Lambda takes."""


class LockError(BuildError):
    """models.lock is not what the build finds, or not a lock at all."""


class CheckpointError(BuildError):
    """A checkpoint of the user's own, or its config, is not what open_clip can load."""


class ProjectError(BuildError):
    """A project folder cannot be made."""


class DoctorError(BuildError):
    """What the doctor was pointed to cannot be examined."""


class StorageError(BuildError):
    """A disk is full, may not be written, or does not do what a build needs of it."""


class HeldError(BuildError):
    """Another process works in the same directory."""


class SampleError(BuildError):
    """A sample of the user's own cannot be read."""


class SourceError(BuildError):
    """A prepared cache is not there, or lacks what the models need."""


class EvaluationError(BuildError):
    """Images and captions of the user's own cannot be used, or a model does worse on them than models.toml allows."""
