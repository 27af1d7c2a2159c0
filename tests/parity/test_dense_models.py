"""Our Megatron trainer with a dense model on two processes, against itself on one."""

import json

import pytest

from tests.parity.megatron_layouts import ONE, PP2, TP2, checks, differences, make_inputs, same_weights


@pytest.mark.parametrize(("name", "layout"), [("qwen2", TP2), ("llama", PP2)])
def test_a_dense_model_trains_on_two_processes_as_on_one(tmp_path, name, layout):
    """Biases cut over two processes; a tied embedding, of which each of two pipeline stages has a copy."""
    make_inputs(tmp_path)
    alone = checks(tmp_path, tmp_path / "alone", ONE, model=name)
    found = checks(tmp_path, tmp_path / "two", layout, model=name)
    assert max(differences(alone, found)) <= 1e-6
    seen = json.loads((tmp_path / "two" / "seen.json").read_text())
    assert seen["packed"] == pytest.approx(seen["single"], rel=1e-6)
    assert seen["resumed"] is True, "from its checkpoint it has other weights"
    assert same_weights(tmp_path / name / "model", tmp_path / "two" / "model")
