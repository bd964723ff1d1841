# SPDX-License-Identifier: Apache-2.0
"""Tensors of PyTorch go in and out without copies. Skipped where it is not installed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

IDS = [17, 900, 23, 4011, 5, 812, 77, 1234]


def test_tensors_do_as_ids(model):
    expected = model.session().prefill(IDS)
    for dtype in (torch.int32, torch.int64):
        assert np.array_equal(model.session().prefill(torch.tensor(IDS, dtype=dtype)), expected)
    ids = torch.tensor(IDS)
    assert list(model.generate(ids, max_tokens=4)) == list(model.generate(IDS, max_tokens=4))
    assert model.tokenizer.decode(ids) == model.tokenizer.decode(IDS)
    for wrong in (torch.tensor([1.0]), torch.tensor([[1]])):
        with pytest.raises(TypeError, match="token ids"):
            model.session().prefill(wrong)


def test_logits_become_a_tensor_of_the_same_memory(model):
    logits = model.session().prefill(IDS)
    tensor = torch.from_dlpack(logits)
    assert tensor.shape == (model.logits_size,) and tensor.dtype == torch.float32
    assert tensor.data_ptr() == logits.__array_interface__["data"][0]
    kept = tensor.clone()
    del logits
    model.session().prefill(IDS)
    assert torch.equal(tensor, kept)
    assert int(tensor[: model.vocab_size].argmax()) == model.complete([IDS], max_tokens=1)[0].ids[0]
