"""The seed of one response: a hash of its own key, so that it depends on no other response."""

import hashlib
import json


def response_seed(seed: int, problem_set: str, problem_id: str, sample: int) -> int:
    """Seed of one response, 0 <= seed < 2**63: the same on every machine and whatever else is generated."""
    text = json.dumps([seed, problem_set, problem_id, sample], ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
