"""Errors of the operating system in words, with the fix."""

import errno

_FIXES = {
    errno.ENOSPC: "the disk is full: free space there, or give another --output",
    errno.EDQUOT: "the disk quota is used up: free space there, or give another --output",
    errno.EACCES: "this user has no permission: change its owner or mode, or name another place",
    errno.EROFS: "the file system is read-only: name another place",
    errno.EMFILE: "too many files are open: raise the limit with `ulimit -n 4096`",
    errno.ENOENT: "it is not there: check the path",
    errno.EISDIR: "it is a directory: name a file",
    errno.ENAMETOOLONG: "the name is longer than the file system takes: choose a shorter one",
    errno.EFBIG: "the file is larger than the file system takes: name another place",
    errno.EAGAIN: "the machine has no place for another thread: close programs, or lower --jobs",
}


def reason(error: OSError) -> str:
    """Return the system's words and the fix, for a message that names the place itself."""
    fix = _FIXES.get(error.errno or 0, "check the path and its permissions, then run the command again")
    return f"{error.strerror or str(error) or type(error).__name__}: {fix}"
