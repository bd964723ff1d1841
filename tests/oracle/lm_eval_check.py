# SPDX-License-Identifier: Apache-2.0
"""Holds `quamba2 eval tasks` against lm-evaluation-harness: the same model, the same files, its own task definitions.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install lm-eval==0.4.13 torch transformers
    /tmp/venv/bin/python tests/oracle/lm_eval_check.py --program build/ci/bin/quamba2 --model MODEL --data DIR --limit 100

lm-eval's `hf` model runs MODEL (a Hugging Face directory) in f32 on the CPU. Its task files are included and only told
where the data lies; HellaSwag and ARC, whose prompts the files hold ready, get their fields named. Prints a line a task:
samples whose metrics are all equal, the largest difference of a log-likelihood, and the metrics of both. Exits with 1
where a log-likelihood differs by more than --tolerance or a metric's value by more than rounding explains.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

READY = {"doc_to_text": "{{ctx}}", "doc_to_target": "gold", "doc_to_choice": "choices", "process_docs": None}
# our name: lm-eval's task file, data file, what to override
TASKS = {
    "lambada": ("lambada/lambada_openai.yaml", "lambada_openai_test.jsonl", {}),
    "hellaswag": ("hellaswag/hellaswag.yaml", "hellaswag_val.jsonl", READY),
    "piqa": ("piqa/piqa.yaml", "piqa_val.jsonl", {"doc_to_choice": "choices", "doc_to_target": "gold"}),
    "arc_easy": ("arc/arc_easy.yaml", "arc_easy_test.jsonl", READY),
    "arc_challenge": ("arc/arc_challenge.yaml", "arc_challenge_test.jsonl", READY),
    "winogrande": ("winogrande/default.yaml", "winogrande_xl_val.jsonl", {}),
}
SUBJECTS = ["abstract_algebra", "high_school_us_history", "marketing", "sociology"]


def write_yaml(folder, name, base, files, overrides):
    import lm_eval
    base = pathlib.Path(lm_eval.__file__).parent / "tasks" / base
    task = {"include": str(base), "task": name, "tag": None, "dataset_path": "json", "dataset_name": None,
            "dataset_kwargs": {"data_files": files}, "training_split": None, "validation_split": None,
            "test_split": "test", "should_decontaminate": False, **overrides}
    (folder / f"{name}.yaml").write_text(json.dumps(task))  # JSON is YAML


def write_tasks(folder, data, names):
    """Returns lm-eval's task names, each with our name and group."""
    out = {}
    for name in names:
        if name == "mmlu":
            continue
        base, file, overrides = TASKS[name]
        write_yaml(folder, f"local_{name}", base, {"test": str(data / file)}, overrides)
        out[f"local_{name}"] = (name, None)
    for subject in SUBJECTS if "mmlu" in names else []:
        files = {}
        for split, file in (("test", "mmlu_test_all.jsonl"), ("dev", "mmlu_dev_all.jsonl")):
            lines = [line for line in (data / file).open() if json.loads(line)["subject"] == subject]
            files[split] = str(folder / f"{subject}.{split}.jsonl")
            pathlib.Path(files[split]).write_text("".join(lines))
        write_yaml(folder, f"local_{subject}", f"mmlu/default/mmlu_{subject}.yaml", files, {})
        out[f"local_{subject}"] = ("mmlu", subject)
    return out


def run_lm_eval(args, folder, names):
    import lm_eval
    import torch
    import transformers
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    torch.set_num_threads(args.threads)
    # The plain PyTorch scan holds [tokens, chunk, heads, state]: short chunks are the same sums in less memory.
    config = transformers.AutoConfig.from_pretrained(args.model, chunk_size=32)
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, config=config, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=args.batch, max_length=2048, device="cpu")
    tasks = write_tasks(folder, args.data, names)
    shots = {"num_fewshot": args.fewshot} if "mmlu" in names else {}
    got = lm_eval.simple_evaluate(model=lm, tasks=list(tasks), limit=args.limit, bootstrap_iters=1000, log_samples=True,
                                  task_manager=TaskManager(include_path=str(folder)), **shots)
    out = {}
    for task, (name, group) in tasks.items():
        samples = []
        for s in sorted(got["samples"][task], key=lambda s: s["doc_id"]):
            pairs = [r[0] if isinstance(r[0], (list, tuple)) else r for r in s["resps"]]
            samples.append({"log_likelihoods": [float(p[0]) for p in pairs],
                            **{m: s[m] for m in ("acc", "acc_norm", "perplexity") if m in s}})
        metrics = {k.split(",")[0]: v for k, v in got["results"][task].items() if "," in k}
        out[f"{name}:{group or ''}"] = {"samples": samples, "metrics": metrics}
    return out


def run_ours(args, names):
    words = [args.program, "eval", "tasks", str(args.model), "--data", str(args.data), "--tasks", ",".join(names),
             "--limit", str(args.limit), "--json", "--samples", "-q", "--threads", str(args.threads)]
    if "mmlu" in names:
        words += ["--fewshot", str(args.fewshot)]
    report = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    out = {}
    for task in report["tasks"]:
        order = list(task["metrics"])
        for s in task["samples_list"]:
            key = f"{task['task']}:{s.get('group', '')}"
            entry = out.setdefault(key, {"samples": [], "metrics": {}})
            entry["samples"].append({"log_likelihoods": s["log_likelihoods"], **dict(zip(order, s["values"]))})
            for m, v in task["metrics"].items():
                entry["metrics"].update({m: v["value"], m + "_stderr": v["stderr"]})
        for g in task.get("groups", []):
            if f"{task['task']}:{g['group']}" in out:
                out[f"{task['task']}:{g['group']}"]["metrics"] = {"acc": g["value"], "acc_stderr": g["stderr"]}
    return out


def compare(key, theirs, ours, tolerance):
    assert len(theirs["samples"]) == len(ours["samples"]), key
    worst, equal, total = 0.0, 0, 0
    for a, b in zip(theirs["samples"], ours["samples"]):
        assert len(a["log_likelihoods"]) == len(b["log_likelihoods"]), key
        worst = max([worst] + [abs(x - y) for x, y in zip(a["log_likelihoods"], b["log_likelihoods"])])
        equal += all(a[m] == b[m] for m in a if m.startswith("acc"))
        total += len(a["log_likelihoods"])
    print(f"{key:28} {equal}/{len(ours['samples'])} samples equal, {total} log-likelihoods within {worst:.2e}")
    good = worst <= tolerance and equal == len(ours["samples"])
    for m, value in theirs["metrics"].items():
        mine = ours["metrics"].get(m)
        if mine is None or not isinstance(value, float):
            continue
        # Perplexity's error is resampled there, first order here.
        near = abs(mine - value) <= (0.15 if m == "perplexity_stderr" else 1e-4) * max(1.0, abs(value))
        good = good and near
        print(f"    {m:20} lm-eval {value:.6f}  quamba2 {mine:.6f}{'' if near else '  DIFFERS'}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/ci/bin/quamba2")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--tasks", default=",".join(TASKS), help="the six; mmlu takes a run of its own")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--fewshot", type=int, default=5, help="of mmlu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=1e-2, help="of a log-likelihood")
    parser.add_argument("--keep", type=pathlib.Path, help="file for lm-eval's part; read instead where it is there")
    args = parser.parse_args()
    names = args.tasks.split(",")
    if "mmlu" in names and len(names) > 1:
        parser.error("mmlu takes a run of its own: its examples would go to the others too")
    if args.keep and args.keep.exists():
        theirs = json.loads(args.keep.read_text())
    else:
        with tempfile.TemporaryDirectory() as folder:
            theirs = run_lm_eval(args, pathlib.Path(folder), names)
        if args.keep:
            args.keep.write_text(json.dumps(theirs))
    ours = run_ours(args, names)
    sys.exit(0 if all([compare(key, theirs[key], ours[key], args.tolerance) for key in theirs]) else 1)


if __name__ == "__main__":
    main()
