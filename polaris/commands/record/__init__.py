"""The results that `polaris publish` writes and `polaris verify` checks: responses, verdicts, numbers, digests."""
