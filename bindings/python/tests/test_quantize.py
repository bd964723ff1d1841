# SPDX-License-Identifier: Apache-2.0
"""Quantizing from Python."""

import json

import pytest

import quamba2

FEW = {"samples": 2, "window": 64}
PLAIN = {**FEW, "preset": "plain"}


@pytest.fixture(scope="module")
def quantized(demo, tmp_path_factory):
    target = tmp_path_factory.mktemp("quantized") / "demo-w4a8"
    calls = []
    report = quamba2.quantize(demo, target, "w4a8", progress=lambda *call: calls.append(call), **FEW)
    return target, report, calls


def test_the_directory_is_a_model_of_that_recipe(quantized, model):
    target, report, _ = quantized
    small = quamba2.Model.load(target)
    assert small.recipe == report["recipe"] == "w4a8"
    assert report["preset"] == "default"
    assert small.weight_bytes < 0.45 * model.weight_bytes
    assert json.loads((target / "quantization.json").read_text()) == report
    assert not target.with_name("demo-w4a8.partial").exists()
    assert len("".join(small.generate("It was a dark and", max_tokens=8))) > 0


def test_progress_goes_from_nothing_to_all(quantized):
    _, _, calls = quantized
    layers = [(done, total) for stage, done, total in calls if stage == "quantizing"]
    assert layers[0][0] == 0 and layers[-1][0] == layers[-1][1] > 1
    assert layers == sorted(layers)


def test_a_target_that_is_there_is_not_overwritten_unasked(quantized, demo):
    target, report, _ = quantized
    with pytest.raises(quamba2.UsageError, match="there already"):
        quamba2.quantize(demo, target, "w8a8", **PLAIN)
    assert quamba2.Model.load(target).recipe == "w4a8"
    quamba2.quantize(demo, target, "w8a8", overwrite=True, **PLAIN)
    assert quamba2.Model.load(target).recipe == "w8a8"


def test_a_callback_ends_it_and_resume_goes_on(demo, tmp_path):
    target = tmp_path / "demo"
    with pytest.raises(quamba2.Interrupted):
        quamba2.quantize(demo, target, progress=lambda stage, done, total: stage != "quantizing" or done < 3, **PLAIN)
    assert not target.exists() and (tmp_path / "demo.partial").exists()
    report = quamba2.quantize(demo, target, resume=True, **PLAIN)
    whole = quamba2.quantize(demo, tmp_path / "whole", **PLAIN)
    assert (target / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
    assert report["bytes_after"] == whole["bytes_after"]


def test_texts_do_as_calibration(demo, tmp_path):
    texts = (demo / "calib.txt").read_text().split("\n\n")[:50]
    lines = tmp_path / "calib.jsonl"
    lines.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    quamba2.quantize(demo, tmp_path / "a", calibration=texts, **PLAIN)
    quamba2.quantize(demo, tmp_path / "b", calibration=lines, **PLAIN)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_what_makes_no_sense_is_refused(demo, tmp_path):
    with pytest.raises(quamba2.UsageError, match="w4a16"):
        quamba2.quantize(demo, tmp_path / "a", "w4a17")
    with pytest.raises(quamba2.UsageError):
        quamba2.quantize(demo, tmp_path / "a", "w4a16", calibration=["too short"])
    with pytest.raises(OSError):
        quamba2.quantize(demo, tmp_path / "a", calibration=tmp_path / "absent.txt")
    assert not (tmp_path / "a").exists()
    names = {recipe.name: recipe for recipe in quamba2.recipes()}
    assert {"w4a8", "w4a16", "w8a8"} <= set(names) and names["w4a8"].summary
