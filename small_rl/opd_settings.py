"""The recipe's section of on-policy distillation: an RL stage that learns from a teacher's log-probabilities."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polaris.generation.settings import Engine
from polaris.stage.settings import Count, Section
from small_rl.rl_settings import RlTraining


class Distillation(Section):
    """The loss, by verl's names (`distillation.distillation_loss`), the target, the teacher's engine (docs/opd.md)."""

    loss_mode: Annotated[
        Literal["k1", "k2", "k3", "abs", "forward_kl_topk"],
        Field(description="k1, k2, k3, abs: by the sampled token alone; forward_kl_topk: by the teacher's likeliest"),
    ]
    topk: Annotated[Count | None, Field(description="the teacher's likeliest tokens that forward_kl_topk compares")]
    use_policy_gradient: Annotated[
        bool, Field(description="the negative loss is each token's advantage; false: a loss")
    ]
    use_task_rewards: Annotated[bool, Field(description="GRPO's loss by the outcome beside it")]
    distillation_loss_coef: Annotated[float, Field(gt=0, description="of the loss, with use_task_rewards")]
    loss_max_clamp: Annotated[float | None, Field(gt=0, description="largest loss of a token; null: no limit")]
    log_prob_min_clamp: Annotated[
        float | None, Field(lt=0, description="smallest log-probability that forward_kl_topk compares; null: no limit")
    ]
    reward_scale: Annotated[float, Field(gt=0, description="of teacher minus teacher_base; above 1: ExOPD")]
    delta: Annotated[bool, Field(description="teacher minus teacher_base, on top of the student as it starts")]
    engine: Annotated[Engine, Field(description="of the teacher, on GPUs of its own beside the stage's")]
    nodes: Annotated[Count | None, Field(description="more nodes, for the teacher alone; null: on the student's nodes")]

    @property
    def needs_base(self) -> bool:
        """Whether the target has the teacher's base in it."""
        return self.delta or self.reward_scale != 1.0

    @model_validator(mode="after")
    def _has_a_signal(self) -> "Distillation":
        top = self.loss_mode == "forward_kl_topk"
        if top != (self.topk is not None):
            raise ValueError("topk: must be a number for loss_mode: forward_kl_topk, and null for the others")
        if top and self.use_policy_gradient:
            raise ValueError(
                "use_policy_gradient: must be false for loss_mode: forward_kl_topk, which is the same for every token "
                "that might be sampled: as an advantage it teaches nothing"
            )
        if self.loss_mode == "k1" and not self.use_policy_gradient:
            raise ValueError(
                "use_policy_gradient: must be true for loss_mode: k1, whose own gradient does not depend on the teacher"
            )
        if self.needs_base and self.loss_mode != "k1":
            raise ValueError(
                f"loss_mode: {self.loss_mode}, but with reward_scale or delta the target is no distribution; use k1"
            )
        return self

    @model_validator(mode="after")
    def _engine_is_verls(self) -> "Distillation":
        for key in ("pipeline_parallel_size", "nodes"):
            if getattr(self.engine, key) != 1:
                raise ValueError(
                    f"engine.{key}: must be 1 here: a teacher's engine has tensor parallel ranks of one node"
                )
        if self.engine.yarn:
            raise ValueError("engine.yarn: must be null here: the teacher reads as it was trained")
        return self


class OpdTraining(RlTraining):
    """On-policy distillation on verl (small_rl.distillation.train_opd): the student samples, the teacher marks."""

    distillation: Distillation

    @model_validator(mode="after")
    def _rewards_are_outcomes(self) -> "OpdTraining":
        for key, only in (("reward", "outcome"), ("rescue", False), ("substitution", None)):
            if getattr(self, key) != only:
                word = {False: "false", None: "null"}.get(only, only)
                raise ValueError(f"{key}: must be {word} here: the teacher is what this stage learns from")
        if self.temperature != 1.0:
            raise ValueError(
                "temperature: must be 1.0 here: verl compares the student at its temperature with the teacher at 1.0"
            )
        return self

    @model_validator(mode="after")
    def _teachers_fit(self) -> "OpdTraining":
        longest, holds = self.max_prompt_length + self.max_response_length + 1, self.distillation.engine.max_model_len
        if longest > holds:
            raise ValueError(
                f"distillation.engine.max_model_len ({holds}) must hold prompt, response and one token more ({longest})"
            )
        if self.teacher_gpus % self.teacher_nodes:
            raise ValueError(
                f"distillation.engine: its {self.teacher_gpus} GPUs (replicas * tensor_parallel_size of each "
                f"model that reads) must be the same number on each of {self.teacher_nodes} nodes"
            )
        per_node, first = self.teacher_gpus_per_node, 0
        for size in self.engines_of_teachers:
            if first // per_node != (first + size - 1) // per_node:
                raise ValueError(
                    f"distillation.engine.tensor_parallel_size: an engine of {size} GPUs would lie on two nodes, with "
                    f"{per_node} of each node for the teacher; choose other replicas"
                )
            first += size
        return self

    @property
    def read(self) -> dict[str, int]:
        """Models that read the responses -> tensor parallel GPUs of an engine: the teacher, its base, the start."""
        own = self.distillation.engine.tensor_parallel_size
        base = {"base": own} if self.distillation.needs_base else {}
        return (
            {"teacher": own} | base | ({"start": self.engine.tensor_parallel_size} if self.distillation.delta else {})
        )

    @property
    def engines_of_teachers(self) -> list[int]:
        """GPUs of each engine of theirs, in the order in which verl places them."""
        return [size for size in self.read.values() for _ in range(self.distillation.engine.replicas)]

    @property
    def teacher_gpus(self) -> int:
        """GPUs of all these engines, over all nodes, beside the stage's own."""
        return sum(self.engines_of_teachers)

    @property
    def teacher_nodes(self) -> int:
        """Nodes on which these engines stand."""
        return self.distillation.nodes or self.nodes

    @property
    def teacher_gpus_per_node(self) -> int:
        return self.teacher_gpus // self.teacher_nodes

    @property
    def all_nodes(self) -> int:
        return self.nodes + (self.distillation.nodes or 0)

    @property
    def all_gpus_per_node(self) -> int:
        if self.distillation.nodes:
            return max(self.gpus_per_node, self.teacher_gpus_per_node)
        return self.gpus_per_node + self.teacher_gpus_per_node


class OpdStage(OpdTraining):
    """One OPD stage of the recipe: who learns from whom, on which prompts, and its training."""

    student: Annotated[str, Field(description="any model of the recipe that exists before this stage")]
    teacher: Annotated[str, Field(description="another one, with the same tokenizer and chat template")]
    teacher_base: Annotated[
        str | None, Field(description="what the teacher was trained from, for reward_scale and delta; null: not needed")
    ]
    prompts: Annotated[str, Field(description="one of inputs.problems; distill: those of the traces")]

    @model_validator(mode="after")
    def _learns_something(self) -> "OpdStage":
        if self.student == self.teacher:
            raise ValueError(f"teacher: {self.teacher} is the student, too: there is nothing to learn")
        if self.distillation.needs_base and self.teacher_base is None:
            raise ValueError(
                "teacher_base: null, but reward_scale and delta are about what the teacher's training changed; name "
                "the model that it started from"
            )
        if self.teacher_base is not None and not self.distillation.needs_base:
            raise ValueError(
                f"teacher_base: must be null: {self.teacher_base} is not read with reward_scale: 1.0, delta: false"
            )
        if self.teacher_base == self.teacher:
            raise ValueError("teacher_base: is the teacher itself: the difference of the two is 0 everywhere")
        return self

    @property
    def training(self) -> OpdTraining:
        """The section of the verb."""
        return OpdTraining.model_validate(self.model_dump(include=set(OpdTraining.model_fields), by_alias=True))
