"""`make measure`: cold start, latency, throughput and cost on an AWS account, in a stack that is destroyed again."""
