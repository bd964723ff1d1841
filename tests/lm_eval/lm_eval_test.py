#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lm_eval_test.py PROGRAM MODEL [DATA [LIMIT]]: two tasks in lm-evaluation-harness, in this process and through our server,
against the same natively: `eval tasks`, and `eval tasks --chunk`, which reads requests as the server does. Prints a table,
and fails where a log-likelihood or a metric is not the native one.

DATA has the tasks' files (docs/tasks.md); without it they are made from the model's eval.txt. Exit status 77: skipped, where
lm-eval is absent."""
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
CHUNK = 256  # of the server, where nothing else is said
HERE = pathlib.Path(__file__).parent
TASKS = {"lambada": ("acc", "perplexity"), "arc_easy": ("acc", "acc_norm")}
FILES = {"lambada": "lambada_openai_test.jsonl", "arc_easy": "arc_easy_test.jsonl"}

try:
    import lm_eval
    from lm_eval.api.instance import Instance
    from lm_eval.tasks import TaskManager

    import quamba2.lm_eval
except ImportError as e:
    print(f"SKIP: lm-evaluation-harness or the Python package is not installed ({e})")
    sys.exit(77)


def make_data(folder, text):
    """Words to predict behind passages of the text, and passages to continue with their own rest or another's."""
    passages = [" ".join(p.split()) for p in text.split("\n\n") if 40 < len(p.split()) < 120][:48]
    assert len(passages) == 48
    with (folder / FILES["lambada"]).open("w") as file:
        for p in passages:
            file.write(json.dumps({"text": " ".join(p.split(" ")[:30])}) + "\n")
    with (folder / FILES["arc_easy"]).open("w") as file:
        for i, p in enumerate(passages):
            words = [passages[(i + k) % len(passages)].split(" ")[20 : 26 + k] for k in range(4)]
            choices = [" ".join(w) for w in words]
            gold = i % 4
            choices[0], choices[gold] = choices[gold], choices[0]
            file.write(json.dumps({"ctx": " ".join(p.split(" ")[:20]), "choices": choices, "gold": gold}) + "\n")


def native(program, model, folder, limit, *more):
    words = [program, "eval", "tasks", model, "--data", str(folder), "--tasks", ",".join(TASKS), *more]
    words += ["--json", "--samples", "-q"]
    words += ["--limit", str(limit)] if limit else []
    report = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    metrics = {(t["task"], m): t["metrics"][m]["value"] for t in report["tasks"] for m in TASKS[t["task"]]}
    return metrics, [s["log_likelihoods"] for t in report["tasks"] for s in t["samples_list"]]


def evaluate(folder, limit, **arguments):
    where = os.getcwd()
    os.chdir(folder)  # the tasks name their files as they lie there
    try:
        got = lm_eval.simple_evaluate(tasks=[f"local_{name}" for name in TASKS], limit=limit or None, bootstrap_iters=0,
                                      task_manager=TaskManager(include_path=str(HERE)), log_samples=True, **arguments)
    finally:
        os.chdir(where)
    metrics = {(name, m): got["results"][f"local_{name}"][f"{m},none"] for name in TASKS for m in TASKS[name]}
    samples = [s for name in TASKS for s in sorted(got["samples"][f"local_{name}"], key=lambda s: s["doc_id"])]
    return metrics, [[float(pair[0]) for (pair,) in s["resps"]] for s in samples]


def through_server(program, model, folder, limit):
    words = [program, "serve", model, "--port", "0", "--chunk", str(CHUNK)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        name, _, address = server.stdout.readline().split()
        return evaluate(folder, limit, model="local-completions", model_args={
            "model": name, "base_url": address + "/v1/completions", "num_concurrent": 4, "tokenized_requests": True,
            "max_length": 2049})  # of which lm-eval takes one for the answer
    finally:
        server.terminate()
        assert server.wait(timeout=60) == 0


def other_requests(path):
    """What the two tasks do not ask for: rolling likelihoods and generation."""
    lm = quamba2.lm_eval.Quamba2LM(path, max_length=16)
    text = "It was a dark and stormy night, and the captain went below to look for his hat in the old sea chest."
    ids = lm.tok_encode(text)
    assert len(ids) > 20
    (total,) = lm.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (text,), 0)], disable_tqdm=True)
    ((first, _),) = lm.model.score([([lm.prefix_token_id], ids[:16])])
    ((rest, _),) = lm.model.score([(ids[len(ids) - 17 : 16], ids[16:])])
    assert total == first + rest, (total, first, rest)
    requests = [Instance("generate_until", {}, (prompt, {"until": ["\n"], "max_gen_toks": 8, "do_sample": False}), i)
                for i, prompt in enumerate(["The captain", text])]
    short, cut = lm.generate_until(requests, disable_tqdm=True)
    assert short == "".join(lm.model.generate("The captain", max_tokens=8, stop="\n"))
    assert cut == "".join(lm.model.generate(ids[-8:], max_tokens=8, stop="\n"))
    print("rolling likelihoods and generation: as the model's own")


def compare(ways, one, other):
    (metrics, scores), (expected, natives) = ways[one], ways[other]
    assert [len(s) for s in scores] == [len(s) for s in natives], one
    pairs = [(a, b) for x, y in zip(scores, natives) for a, b in zip(x, y)]
    print(f"{one}: {sum(a == b for a, b in pairs)} of {len(pairs)} log-likelihoods are those of {other} bit for bit")
    for a, b in [*pairs, *((metrics[key], expected[key]) for key in expected)]:
        # From version 3.12 on Python's sum() carries along what rounding loses.
        assert a == b or (sys.version_info >= (3, 12) and math.isclose(a, b, rel_tol=1e-14)), (one, a, b)


def main():
    program, model = sys.argv[1], str(pathlib.Path(sys.argv[2]).resolve())
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        if len(sys.argv) > 3:
            for file in FILES.values():
                shutil.copy(pathlib.Path(sys.argv[3]) / file, folder)
        else:
            make_data(folder, (pathlib.Path(model) / "eval.txt").read_text())
        other_requests(model)
        ways = {"native": native(program, model, folder, limit),
                "native --chunk": native(program, model, folder, limit, "--chunk", str(CHUNK)),
                "in process": evaluate(folder, limit, model="quamba2", model_args={"pretrained": model}),
                "server": through_server(program, model, folder, limit)}
    print("| task | metric |", " | ".join(ways), "|\n|" + "---|" * (len(ways) + 2))
    for key in ways["native"][0]:
        print("|", " | ".join([*key, *(repr(metrics[key]) for metrics, _ in ways.values())]), "|")
    compare(ways, "in process", "native")
    compare(ways, "server", "native --chunk")


main()
