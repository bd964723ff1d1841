# SPDX-License-Identifier: Apache-2.0
"""The model on a GPU: the CPU's numbers, tensors of both memories as ids, states that go on. Skipped where there is none."""

import numpy as np
import pytest

import quamba2

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
if not torch.cuda.is_available():
    pytest.skip("there is no GPU", allow_module_level=True)

IDS = [17, 900, 23, 4011, 5, 812, 77, 1234]


@pytest.fixture(scope="module")
def gpu(demo):
    return quamba2.Model.load(demo, device="cuda:0")


def divergence(model, of, other):
    """Mean over rows of the KL divergence of `other` from `of`, both logits."""
    of, other = (np.asarray(x, np.float64)[..., : model.vocab_size] for x in (of, other))
    of, other = (x - np.logaddexp.reduce(x, axis=-1, keepdims=True) for x in (of, other))
    return float((np.exp(of) * (of - other)).sum(-1).mean())


def test_logits_are_those_of_the_cpu(model, gpu):
    expected, got = model.session().prefill_every(IDS), gpu.session().prefill_every(IDS)
    assert got.dtype == np.float32 and got.shape == expected.shape
    assert divergence(model, expected, got) < 1e-3
    assert divergence(model, expected, np.zeros_like(got)) > 1e-1  # the measure sees what is wrong


def test_ids_may_lie_in_either_memory(gpu):
    expected = gpu.session().prefill(IDS)
    for dtype in (torch.int32, torch.int64):
        for device in ("cpu", "cuda:0"):
            ids = torch.tensor(IDS, dtype=dtype, device=device)
            assert np.array_equal(gpu.session().prefill(ids), expected)
    with pytest.raises(TypeError, match="token ids"):
        gpu.session().prefill(torch.tensor([1.0], device="cuda:0"))


def test_logits_become_a_tensor_of_the_same_memory(gpu):
    logits = gpu.session().prefill(IDS)
    tensor = torch.from_dlpack(logits)
    assert tensor.data_ptr() == logits.__array_interface__["data"][0]
    there = tensor.to("cuda:0")
    assert int(there[: gpu.vocab_size].argmax()) == gpu.complete([IDS], max_tokens=1)[0].ids[0]


def test_texts_grow_as_on_the_cpu_and_as_alone(model, gpu):
    prompts = [IDS, IDS[:3], IDS[::-1], [5]]
    together = [c.ids for c in gpu.complete(prompts, max_tokens=24)]
    for prompt, ids in zip(prompts, together, strict=True):
        assert gpu.complete([prompt], max_tokens=24)[0].ids == ids
        assert list(gpu.generate(prompt, max_tokens=24)) == list(model.generate(prompt, max_tokens=24))


def test_snapshots_go_on_bit_for_bit(gpu):
    session = gpu.session()
    session.prefill(IDS)
    snapshot = session.snapshot()
    expected = session.prefill([3, 1, 4])
    other = gpu.session()
    other.restore(snapshot)
    assert np.array_equal(other.prefill([3, 1, 4]), expected)


def test_perplexity_is_the_cpus(model, gpu, demo):
    text = (demo / "eval.txt").read_text()[:8000]
    expected = quamba2.perplexity(model, text, window=512, max_windows=2).perplexity
    assert quamba2.perplexity(gpu, text, window=512, max_windows=2).perplexity == pytest.approx(expected, rel=2e-3)
