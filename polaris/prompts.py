"""What a model is asked: one user message, made the same way by every stage that asks or trains."""


def user_message(problem: str, instruction: str) -> str:
    """The problem's text, then the instruction, with one space between them unless the instruction brings its own.

    V1's prompts are `<problem> Let's think step by step and output the final answer within \\boxed{}.`
    """
    if not instruction:
        return problem
    return problem + ("" if instruction[0].isspace() else " ") + instruction


def messages(problem: str, instruction: str) -> list[dict[str, str]]:
    """The conversation that a model answers: no system prompt, as in V1."""
    return [{"role": "user", "content": user_message(problem, instruction)}]
