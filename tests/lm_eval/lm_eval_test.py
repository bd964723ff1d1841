#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lm_eval_test.py PROGRAM MODEL [DATA [LIMIT]]: two tasks in lm-evaluation-harness, in this process and through our server,
and the same natively. Prints a table, and fails where
  - a log-likelihood or a metric in this process is not the native one to the last digit;
  - an accuracy through the server is not, or a log-likelihood there differs by more than 1e-4: the server reads context and
    continuation in one piece, so that floats are summed in another order. (A model with states of few bits rounds them at
    other places, and differs by more.)

DATA has the tasks' files (docs/tasks.md); without it they are made from the model's eval.txt. Exit status 77: skipped, where
lm-eval is absent."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
HERE = pathlib.Path(__file__).parent
TASKS = {"lambada": ("acc", "perplexity"), "arc_easy": ("acc", "acc_norm")}
FILES = {"lambada": "lambada_openai_test.jsonl", "arc_easy": "arc_easy_test.jsonl"}

try:
    import lm_eval
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


def native(program, model, folder, limit):
    words = [program, "eval", "tasks", model, "--data", str(folder), "--tasks", ",".join(TASKS), "--json", "--samples", "-q"]
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
    server = subprocess.Popen([program, "serve", model, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        name, _, address = server.stdout.readline().split()
        return evaluate(folder, limit, model="local-completions", model_args={
            "model": name, "base_url": address + "/v1/completions", "num_concurrent": 4, "tokenized_requests": True,
            "max_length": 2049})  # of which lm-eval takes one for the answer
    finally:
        server.terminate()
        assert server.wait(timeout=60) == 0


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
        ways = {"native": native(program, model, folder, limit),
                "in process": evaluate(folder, limit, model="quamba2", model_args={"pretrained": model}),
                "server": through_server(program, model, folder, limit)}
    print("| task | metric |", " | ".join(ways), "|\n|---|---|---|---|---|")
    for key in ways["native"][0]:
        print("|", " | ".join([*key, *(repr(metrics[key]) for metrics, _ in ways.values())]), "|")
    expected, scores = ways["native"]
    for way, (metrics, own) in ways.items():
        assert [len(s) for s in own] == [len(s) for s in scores], way
        worst = max(abs(a - b) for x, y in zip(own, scores) for a, b in zip(x, y))
        print(f"{way}: {sum(map(len, own))} log-likelihoods, largest difference {worst:.1e}")
        assert worst <= (1e-4 if way == "server" else 0), way
        for key, value in metrics.items():
            if way != "server" or key[1].startswith("acc"):
                assert value == expected[key], (way, key, value, expected[key])


main()
