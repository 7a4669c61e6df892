"""Files and directories: replaced as one, locked, read within limits; what a disk refuses."""
