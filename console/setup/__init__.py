"""Check this machine and the AWS account before any long work begins."""
