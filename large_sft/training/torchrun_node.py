"""torchrun on one node: `python -m large_sft.training.torchrun_node ARGUMENTS OF TORCHRUN`.

Slurm warns all processes of a job. Blocked for torchrun and all that it starts, megatron-core's helpers in writing a
checkpoint among them, the signal ends none of them; the ranks see it waiting (megatron_loop.py).
"""

import os
import signal
import sys

from polaris.stage.nodes import interface, this_node


def node_environment() -> dict[str, str]:
    """Variables by which torchrun and gloo know this node; what is set already stays.

    torchrun would ask what the node's own name means: where that is a loopback address, no node would take itself for
    the host of the rendezvous, and the ranks of others would look for rank 0 at home.
    """
    variables = {
        "PET_RDZV_CONF": f"is_host={os.environ['SLURM_PROCID'] == '0'}",
        "PET_LOCAL_ADDR": this_node(),
        "GLOO_SOCKET_IFNAME": interface(),
    }
    return {name: value for name, value in variables.items() if value and name not in os.environ}


def main() -> None:
    words = sys.argv[1:]
    if "--nnodes" in words and int(words[words.index("--nnodes") + 1]) > 1:
        os.environ.update(node_environment())
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    from torch.distributed import run  # after the block: it starts threads

    run.main(words)


if __name__ == "__main__":
    main()
