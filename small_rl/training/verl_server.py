"""verl's vLLM servers, asked for all responses to a prompt at once.

verl asks for each response by itself: it asks a process of its own which server to take (its load balancer), calls the
server, and reports the end; and vLLM hands over every token with the text so far. For a laptop's 256 short responses
that is more work than the responses. Here one process asks, and counts what each server has.
"""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import ray
from verl.workers.rollout.llm_server import LLMServerManager
from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer, vLLMReplica
from vllm.sampling_params import RequestOutputKind

from polaris.generation.spread import spread


class GroupServer(vLLMHttpServer):
    """verl's server, which also answers for several seeds."""

    async def generate_group(self, prompt: list[int], sampling: dict[str, Any], seeds: list[int]) -> list[Any]:
        """A verl TokenOutput for each seed. prompt: token ids"""
        return await asyncio.gather(
            *(self.generate(list(prompt), sampling | {"seed": seed}, request_id=uuid4().hex) for seed in seeds)
        )


class GroupReplica(vLLMReplica):
    def __init__(self, *args: Any, **more: Any):
        super().__init__(*args, **more)
        self.server_class = ray.remote(GroupServer)


class GroupClient:
    """Asks the servers of one model; which of them takes a response is chosen as verl's load balancer chooses."""

    def __init__(self, servers: Sequence[Any]):
        self.servers, self.busy = servers, [0] * len(servers)

    async def responses(self, prompt: list[int], sampling: dict[str, Any], seeds: list[int]) -> list[Any]:
        """verl's TokenOutput for each seed, in their order. prompt: token ids; sampling: vLLM's, without a seed"""
        # Token ids are all that is read, once a response is complete.
        sampling = sampling | {"output_kind": RequestOutputKind.FINAL_ONLY, "detokenize": False}

        async def answered(server: int, places: list[int]) -> dict[int, Any]:
            group = self.servers[server].generate_group.remote(prompt, sampling, [seeds[place] for place in places])
            try:
                return dict(zip(places, await group, strict=True))
            finally:
                self.busy[server] -= len(places)

        asked = (answered(*one) for one in spread(len(seeds), self.busy).items())
        found = {place: one for part in await asyncio.gather(*asked) for place, one in part.items()}
        return [found[place] for place in range(len(seeds))]


class GroupServers(LLMServerManager):
    """verl's manager of the actor's servers, without the process of its load balancer."""

    rollout_replica_class = GroupReplica

    async def _init_global_load_balancer(self) -> None:
        self.global_load_balancer = None

    def get_client(self, client_cls: Any = None, **more: Any) -> GroupClient:  # pyright: ignore[reportIncompatibleMethodOverride]
        return GroupClient(self.server_handles)
