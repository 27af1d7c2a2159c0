"""What other hardware would do, for a refusal."""

from collections.abc import Callable, Iterator

from polaris.hardware.gpus import GPUS
from polaris.hardware.settings import Hardware

MOST_NODES = 64
NODE = 8  # GPUs of the largest node that is suggested


def nearest(hardware: Hardware, fits: Callable[[Hardware], bool]) -> str:
    """The least of the same GPUs, and the smallest other GPU in the same number, that fit; in words."""
    found = [next((other for other in way if fits(other)), None) for way in (_more(hardware), _larger(hardware))]
    fitting = " or ".join(str(other) for other in found if other)
    return f"it fits on {fitting}" if fitting else f"it fits on no {MOST_NODES} nodes of these GPUs"


def _more(hardware: Hardware) -> Iterator[Hardware]:
    """More GPUs of a node, then more nodes of them."""
    gpus = hardware.gpus_per_node
    while (gpus := 2 * gpus) <= NODE:
        yield hardware.model_copy(update={"gpus_per_node": gpus})
    whole, nodes = max(NODE, hardware.gpus_per_node), hardware.nodes
    while (nodes := 2 * nodes) <= MOST_NODES:
        yield hardware.model_copy(update={"nodes": nodes, "gpus_per_node": whole})


def _larger(hardware: Hardware) -> Iterator[Hardware]:
    for name in sorted(GPUS, key=lambda name: GPUS[name].memory):
        if GPUS[name].memory > hardware.kind.memory:
            yield hardware.model_copy(update={"gpu": name})
