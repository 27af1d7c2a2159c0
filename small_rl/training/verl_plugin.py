"""verl's plugin, loaded in every process that imports verl (entry point `verl.plugins`): what verl 0.9.1 cannot be set.

With VERL_PLATFORM=cpu it loads the platform of verl_cpu.py, too.
"""

import os

# Seconds that a rank waits for the others. NCCL's own 600 are too few where rank 0 writes the weights of a large model
# meanwhile, and verl's 36000 of the SFT let a dead rank hold all GPUs for ten hours.
COLLECTIVE_TIMEOUT = 1800


def _leave_rays_generator_alone() -> None:
    """Ids of actor classes, which are drawn while a class is imported, do not come from Ray's own generator.

    That is not fork-safe: what draws from it in the process that is forked (verl_preload.py) leaves every child with
    the same numbers. Two workers that start in the same moment then put the same object, Ray ends one of them, and the
    launch hangs.
    """
    import ray.actor
    from ray import ActorClassID

    class Ids:
        @staticmethod
        def from_random() -> ActorClassID:
            return ActorClassID(os.urandom(ActorClassID.size()))

    ray.actor.ActorClassID = Ids  # pyright: ignore[reportAttributeAccessIssue]


def _bound_collectives() -> None:
    from verl.utils import distributed

    original = distributed.initialize_global_process_group_ray

    def under_ray(timeout_second=None, backend=None):
        return original(timeout_second or COLLECTIVE_TIMEOUT, backend)

    distributed.initialize_global_process_group_ray = under_ray
    distributed.initialize_global_process_group.__defaults__ = (COLLECTIVE_TIMEOUT,)


def _tell_runs_apart() -> None:
    """Make the sockets of the weight transfer unique: verl names them, in /tmp, by Ray's job id.

    That id is the same in every stage's cluster, so two stages on one node would exchange weights. SMALL_RL_RUN
    (verl_main.py) is unique to a launch.
    """
    from ray.runtime_context import RuntimeContext

    original = RuntimeContext.get_job_id

    def get_job_id(self):
        return f"{original(self)}-{os.environ.get('SMALL_RL_RUN', '0')}"

    RuntimeContext.get_job_id = get_job_id


_leave_rays_generator_alone()
_bound_collectives()
_tell_runs_apart()
if os.environ.get("VERL_PLATFORM") == "cpu":
    from small_rl.training import verl_cpu

    verl_cpu.install()
