"""A chat template is rendered as transformers renders it, and one that does harm ends in a sentence."""

import contextlib
import os
import signal
import subprocess
import sys

import psutil
import pytest

from polaris.models import chat_template
from polaris.models.chat_template import ChatTemplate
from polaris.models.tiny_tokenizer import CHAT_TEMPLATE, build_tokenizer
from polaris.stage.errors import UserError

QUESTION = [{"role": "user", "content": "1 + 1 = ?\n√2 \ud800"}]
CONVERSATION = [
    {"role": "system", "content": " "},
    *QUESTION,
    {"role": "assistant", "content": "<think>\nt\n</think>\n2"},
]
LOOPS = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
DOUBLED = "{% set n = namespace(t='a') %}{% for i in range(40) %}{% set n.t = n.t + n.t %}{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


# With what the templates of published models use besides: special tokens, tojson, loop controls, blocks on their lines.
OTHER = """{{ eos_token }}{{ {"tools": tools, "é": 1} | tojson(indent=1) }}
{%- for message in messages %}
    {% if message.role == "system" %}
        {% continue %}
    {% endif %}
    {{- message.content | trim + strftime_now("") }}{% generation %}!{% endgeneration %}
{% endfor %}"""


@pytest.mark.parametrize("source", [CHAT_TEMPLATE, OTHER])
@pytest.mark.parametrize("messages", [QUESTION, CONVERSATION])
@pytest.mark.parametrize("generation", [True, False])
@pytest.mark.slow
def test_as_transformers_renders_it(tokenizer, source, messages, generation):
    tokenizer.chat_template = source
    with ChatTemplate(tokenizer) as template:
        rendered = template.render(messages, add_generation_prompt=generation)
        assert rendered == tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation)
        conversation = [{"role": "user", "content": "1 + 1 = ?"}]
        ids = tokenizer.apply_chat_template(conversation, add_generation_prompt=True, return_dict=False)
        assert template.prompt_tokens(conversation) == list(ids)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (LOOPS, "it computes for more than 5 s"),
        ("{{ 'a' * 4000000000 }}", "it takes more than 1 GiB of memory"),
        (DOUBLED, "it takes more than 1 GiB of memory"),
        ("{{ 'a' * 20000000 }}", "it writes 20000000 characters, more than 16777216"),
        ("\n{{ messages", "line 2: unexpected end of template"),
        ("{{ raise_exception('Roles\n\x1b[2Jalternate') }}", r"cannot be used: Roles  \[2Jalternate; correct"),
        ("{{ 1 + messages }}", "unsupported operand"),
        ("{{ tool.name }}", "'tool' is undefined"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "maximum recursion depth exceeded"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{% include '/etc/passwd' %}", "no loader for this environment"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_a_template_that_fails_or_goes_beyond_its_bounds(tokenizer, source, message):
    tokenizer.chat_template = source
    with pytest.raises(UserError, match=message), ChatTemplate(tokenizer) as template:
        template.render(QUESTION, add_generation_prompt=True)


def test_a_failed_conversation_does_not_end_the_template(tokenizer):
    tokenizer.chat_template = "{{ messages[1].content }}"
    with ChatTemplate(tokenizer) as template:
        with pytest.raises(UserError, match="is undefined|no element 1"):
            template.render(QUESTION, add_generation_prompt=True)
        assert template.render(CONVERSATION, add_generation_prompt=True) == QUESTION[0]["content"]


def test_several_templates_without_a_default(tokenizer):
    tokenizer.chat_template = {"tool_use": "{{ messages }}", "rag": ""}
    with pytest.raises(UserError, match="the chat template cannot be used: .*tool_use"):
        ChatTemplate(tokenizer)


def test_a_killed_child_is_said(tokenizer):
    tokenizer.chat_template = CHAT_TEMPLATE
    with ChatTemplate(tokenizer) as template:
        os.kill(template._child.process.pid, signal.SIGKILL)
        with pytest.raises(UserError, match="its process ended with status -9"):
            template.render(QUESTION, add_generation_prompt=True)
    with ChatTemplate(tokenizer) as template:
        assert template.render(QUESTION, add_generation_prompt=True)


def test_a_child_is_kept_for_its_template_alone(tokenizer, monkeypatch):
    """And only while nothing is outstanding; what does not fit any more ends."""
    monkeypatch.setattr(chat_template, "_kept", {})
    monkeypatch.setattr(chat_template, "KEPT", 1)
    pids = []
    for source in ("{{ 1 }}", "{{ 1 }}", "{{ 2 }}"):
        tokenizer.chat_template = source
        with ChatTemplate(tokenizer) as template:
            assert template.render(QUESTION, add_generation_prompt=True) == source[3]
            pids.append(template._child.process.pid)
    assert pids[0] == pids[1] != pids[2]
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    with ChatTemplate(tokenizer) as template:
        template._child.waiting = False
    with pytest.raises(ProcessLookupError):
        os.kill(pids[2], 0)


@pytest.mark.slow
def test_a_kept_child_ends_with_its_process():
    code = (
        "from polaris.models.chat_template import ChatTemplate, _kept\n"
        "from polaris.models.tiny_tokenizer import build_tokenizer\n"
        "with ChatTemplate(build_tokenizer()): pass\n"
        "print(*[child.process.pid for child in _kept.values()], flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (pid,) = map(int, done.stdout.split())
    assert done.stderr == ""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=10)
