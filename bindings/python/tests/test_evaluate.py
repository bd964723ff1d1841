# SPDX-License-Identifier: Apache-2.0
"""Measures from Python are those of the library."""

import json
import math
import os
import subprocess

import numpy as np
import pytest

import quamba2


def test_perplexity_is_that_of_the_logits(demo, model):
    text = (demo / "eval.txt").read_text()[:6000]
    measured = quamba2.perplexity(model, text, window=128, max_windows=3)
    ids = model.tokenizer.encode(text)
    losses = []
    for w in range(3):
        window = ids[w * 128 : (w + 1) * 128]
        rows = model.session().prefill_every(window).astype(np.float64)
        log_sums = np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1)) + rows.max(1)
        losses += [log_sums[i] - rows[i, window[i + 1]] for i in range(127)]
    assert measured.predicted == len(losses) == 381
    assert measured.windows == 3 and measured.tokens == len(ids)
    assert math.isclose(measured.nll, np.mean(losses), rel_tol=1e-5)
    assert float(measured) == measured.perplexity and math.isclose(measured.perplexity, math.exp(measured.nll))
    assert "predictions" in repr(measured)


def test_perplexity_is_that_of_the_program(demo, model):
    program = os.environ.get("QUAMBA2_PROGRAM", "")
    if not os.path.exists(program):
        pytest.skip("the program is not built")
    done = subprocess.run([program, "eval", "ppl", str(demo), "--text", str(demo / "eval.txt"), "--window", "256",
                           "--windows", "4", "--threads", "2", "--json", "-q"], check=True, capture_output=True, text=True)
    measured = quamba2.perplexity(model, (demo / "eval.txt").read_text(), window=256, max_windows=4)
    assert measured.perplexity == json.loads(done.stdout)["perplexity"]


def test_windows_out_of_range_are_refused(model):
    with pytest.raises(quamba2.UsageError):
        quamba2.perplexity(model, "a", window=1)


def test_tasks_are_scores_of_pairs(model, tmp_path):
    questions = [("Question: How do I open a door?\nAnswer:", ["Turn the handle.", "Eat it."], 0),
                 ("Question: What is snow?\nAnswer:", ["Iron", "Frozen water", "A kind of bird"], 1),
                 ("Question: Who sails?\nAnswer:", ["The captain", "A stone"], 1)]
    with (tmp_path / "piqa_val.jsonl").open("w") as file:
        for ctx, choices, gold in questions:
            file.write(json.dumps({"ctx": ctx, "choices": choices, "gold": gold}) + "\n")
    acc, error = model.evaluate_tasks(tmp_path, ["piqa"])["piqa"]["acc"]
    right = 0
    for ctx, choices, gold in questions:
        context = model.tokenizer.encode(ctx)
        whole = [model.tokenizer.encode(ctx + " " + choice) for choice in choices]
        assert all(ids[: len(context)] == context for ids in whole)
        scores = model.score([(context, ids[len(context) :]) for ids in whole])
        assert all(value < 0 for value, _ in scores)
        right += max(range(len(choices)), key=lambda i: scores[i][0]) == gold
    assert acc == right / 3
    assert 0 <= error < 1
    best = model.complete(["The captain"], max_tokens=1)[0].ids
    assert model.score([(model.tokenizer.encode("The captain"), best)])[0][1] is True
    with pytest.raises(quamba2.UsageError):
        model.score([([], [1])])
