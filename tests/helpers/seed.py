"""The seed of what the tests draw at random: when a process is killed, and where.

Every run of the tests prints it, and hands it to the processes that it starts; given again as POLARIS_SEED, the same is
drawn.
"""

import os
import random

SEED = os.environ.get("POLARIS_SEED") or str(random.SystemRandom().randrange(2**32))
os.environ["POLARIS_SEED"] = SEED
SENTENCE = f"POLARIS_SEED={SEED} draws the same random kills again"


def generator(name: str) -> random.Random:
    """A test's own generator, so that the order of the tests changes nothing. name: of the test or fixture"""
    return random.Random(f"{SEED} {name}")
