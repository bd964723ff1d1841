# SPDX-License-Identifier: Apache-2.0
"""Texts that grow."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import quamba2

PROMPT = "It was a dark and"


def test_greedy_text_is_the_likeliest_token_again_and_again(model):
    text = model.generate(PROMPT, max_tokens=8)
    pieces = list(text)
    assert "".join(pieces) == text.text and len(text.ids) == 8 and text.finish_reason == "length"
    assert [i for piece in pieces for i in piece.ids] == text.ids
    assert text.usage.prompt_tokens == len(model.tokenizer.encode(PROMPT)) and text.usage.generated_tokens == 8
    session = model.session()
    logits = session.prefill(model.tokenizer.encode(PROMPT))
    for expected in text.ids:
        best = int(np.argmax(logits[: model.vocab_size]))
        assert best == expected
        logits = session.prefill([best])
    assert list(text) == []  # at its end it stays there


def test_ids_do_as_a_prompt(model):
    ids = model.tokenizer.encode(PROMPT)
    expected = "".join(model.generate(PROMPT, max_tokens=8))
    for prompt in (ids, np.array(ids)):
        assert "".join(model.generate(prompt, max_tokens=8)) == expected


def test_a_seed_gives_the_same_text_and_another_seed_another(model):
    def draw(seed):
        return "".join(model.generate(PROMPT, max_tokens=24, temperature=1.0, top_p=0.95, top_k=50, seed=seed))

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


def test_texts_and_sessions_take_turns(model):
    alone = [list(model.generate(p, max_tokens=10)) for p in (PROMPT, "The captain")]
    session = model.session()
    session.prefill([1, 2, 3])
    a, b = model.generate(PROMPT, max_tokens=10), model.generate("The captain", max_tokens=10)
    together = [[], []]
    for _ in range(10):
        together[0].append(next(a))
        together[1].append(next(b))
        session.prefill([4])
    together[0] += a
    together[1] += b
    assert together == alone
    assert session.tokens == 13


def test_complete_gives_each_what_it_has_alone(model):
    prompts = [PROMPT, "The captain", "In the year 1850 the town of"] * 4  # more than slots
    stages = set()
    completions = model.complete(prompts, max_tokens=10, progress=lambda stage, done, total: stages.add(stage))
    for prompt, completion in zip(prompts, completions, strict=True):
        assert completion.text == "".join(model.generate(prompt, max_tokens=10))
        assert completion.finish_reason == "length" and len(completion.ids) == 10
    assert "reading the prompt" in stages


def test_a_stop_string_ends_the_text_and_is_no_part_of_it(model):
    whole = "".join(model.generate(PROMPT, max_tokens=40))
    stop = whole[len(whole) // 2 :][:4]
    text = model.generate(PROMPT, max_tokens=40, stop=stop)
    assert "".join(text) == whole[: whole.index(stop)]
    assert text.finish_reason == "stop"


def test_log_probabilities_come_with_the_tokens(model):
    piece = next(model.generate(PROMPT, max_tokens=2, logprobs=3))
    token = piece.tokens[0]
    assert token.logprob < 0 and len(token.top) == 3
    assert token.top[0].id == token.id and token.top[0].logprob == token.logprob  # greedy
    assert token.top[0].logprob >= token.top[1].logprob >= token.top[2].logprob
    assert np.isnan(next(model.generate(PROMPT, max_tokens=2)).tokens[0].logprob)


def test_an_exception_of_a_progress_callback_comes_through(model):
    def refuse(stage, done, total):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        model.complete([PROMPT], max_tokens=4, progress=refuse)
    with pytest.raises(quamba2.Interrupted):
        model.complete([PROMPT], max_tokens=4, progress=lambda *_: False)
    assert model.complete([PROMPT], max_tokens=4)[0].finish_reason == "length"


def test_other_threads_run_meanwhile(model):
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    model.session().prefill([7] * 20000)
    done.set()
    thread.join()
    assert len(ticks) > 10


LONG = """
import sys, quamba2
model = quamba2.Model.load(sys.argv[1], threads=2)
print("ready", flush=True)
try:
    if sys.argv[2] == "complete":
        model.complete(["It was"], max_tokens=10**7, ignore_eos=True)
    elif sys.argv[2] == "prefill":
        model.session().prefill([7] * 10**7)
    elif sys.argv[2] == "generate":
        for piece in model.generate([7] * 10**7): pass
    else:
        quamba2.perplexity(model, "It was a dark night. " * 10**6, window=64)
except KeyboardInterrupt:
    print("interrupted", model.complete(["It was"], max_tokens=2)[0].finish_reason)
"""


@pytest.mark.parametrize("what", ["complete", "prefill", "generate", "perplexity"])
def test_ctrl_c_ends_long_work(demo, what):
    program = subprocess.Popen([sys.executable, "-c", LONG, str(demo), what], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"
    time.sleep(1)
    assert program.poll() is None
    program.send_signal(signal.SIGINT)
    out, _ = program.communicate(timeout=60)
    assert (out, program.returncode) == ("interrupted length\n", 0)


def test_the_program_gives_the_same_text(model, demo):
    program = os.environ.get("QUAMBA2_PROGRAM", "")
    if not os.path.exists(program):
        pytest.skip("the program is not built")
    done = subprocess.run([program, "generate", str(demo), "-p", PROMPT, "-n", "24", "--json", "-q"], check=True,
                          capture_output=True, text=True)
    assert json.loads(done.stdout)["completions"][0]["text"] == "".join(model.generate(PROMPT, max_tokens=24))
