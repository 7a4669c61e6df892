"""What this machine and the AWS account have to have, told before anything long begins."""
