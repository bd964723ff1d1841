# SPDX-License-Identifier: Apache-2.0
"""A model, its facts and its tokenizer."""

import json

import pytest

import quamba2


def test_facts_are_those_of_the_directory(demo, model):
    config = json.loads((demo / "config.json").read_text())
    assert model.config == config
    assert model.family == "mamba2" and model.recipe is None
    assert model.layers == config["n_layer"] and model.d_model == config["d_model"]
    assert 7_000_000 < model.parameters < 8_000_000
    assert model.weight_bytes < (demo / "model.safetensors").stat().st_size
    assert model.logits_size >= model.vocab_size == model.tokenizer.vocab_size
    assert "not quantized" in repr(model) and "2 threads" in repr(model)
    assert "linear" in model.explain()


def test_text_goes_to_ids_and_back(demo, model):
    text = "It was a dark and stormy night; é, 夜."
    ids = model.tokenizer.encode(text)
    assert all(isinstance(i, int) and 0 <= i < model.vocab_size for i in ids)
    assert model.tokenizer.decode(ids) == text
    assert quamba2.Tokenizer.load(str(demo)).encode(text) == ids
    token = model.tokenizer.token(ids[0])
    assert model.tokenizer.id(token) == ids[0]
    assert model.tokenizer.id("no such token at all") is None


def test_a_tokenizer_outlives_the_variable_of_its_model(demo):
    tokenizer = quamba2.Model.load(demo).tokenizer
    assert tokenizer.decode(tokenizer.encode("still here")) == "still here"


def test_a_conversation_without_a_template_is_refused(model):
    assert model.chat_template is None
    with pytest.raises(quamba2.UsageError, match="no chat template"):
        model.apply_chat_template([{"role": "user", "content": "Hello"}])


def test_a_conversation_goes_through_the_template(demo, tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).symlink_to(demo / name)
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<!>{% endif %}"
    (tmp_path / "chat_template.jinja").write_text(template)
    model = quamba2.Model.load(tmp_path)
    assert model.chat_template == template
    messages = [{"role": "user", "content": "Hello"}]
    assert model.apply_chat_template(messages) == "<user>Hello<!>"
    assert model.apply_chat_template(messages, add_generation_prompt=False) == "<user>Hello"
