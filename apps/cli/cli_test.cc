// SPDX-License-Identifier: Apache-2.0
// What the verbs do, on the bundled model.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "run_program.h"

namespace quamba2::cli {
namespace {

using nlohmann::json;

const std::vector<std::vector<std::string>> kVerbs = {
    {},         {"inspect"},     {"explain"},       {"quantize"}, {"recipes"}, {"generate"},       {"tokenize"},
    {"eval"},   {"eval", "ppl"}, {"eval", "tasks"}, {"compare"},  {"bench"},   {"version"},        {"completion"},
    {"random"}, {"search"},      {"ablation"},      {"report"},   {"serve"},   {"bench", "serve"}, {"chat"},
};

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Help, OfEveryVerb) {
  for (const auto& verb : kVerbs) {
    const Outcome help = run(with(verb, {"--help"}));
    EXPECT_EQ(help.code, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_NE(help.out.find("Usage: quamba2"), std::string::npos) << help.out;
    EXPECT_NE(help.out.find("Example:\n  "), std::string::npos) << help.out;
    EXPECT_EQ(run(with(verb, {"-h"})).out, help.out);
    EXPECT_EQ(run(with({"help"}, verb)).out, help.out);
    for (size_t at = 0, end; (end = help.out.find('\n', at)) != std::string::npos; at = end + 1) {
      EXPECT_LE(end - at, 110u) << help.out.substr(at, end - at);
    }
  }
}

// docs/cli.md holds the help texts word for word.
TEST(Help, IsInTheDocument) {
  const std::string document = slurp(std::string(QUAMBA2_SOURCE) + "/docs/cli.md");
  for (const auto& verb : kVerbs) {
    const std::string help = run(with(verb, {"--help"})).out;
    EXPECT_NE(document.find("```\n" + help + "```\n"), std::string::npos) << "docs/cli.md differs from\n" << help;
  }
}

TEST(Version, Everywhere) {
  const std::string version = run({"--version"}).out;
  EXPECT_EQ(version.rfind("quamba2 ", 0), 0u);
  EXPECT_EQ(run({"version"}).out, version);
  EXPECT_EQ(run({"eval", "ppl", "--version"}).out, version);
  EXPECT_EQ(json::parse(run({"version", "--json"}).out)["version"].get<std::string>() + "\n", version.substr(8));
}

TEST(Inspect, JsonAddsUp) {
  const Outcome outcome = run({"inspect", demo(), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = json::parse(outcome.out);
  EXPECT_EQ(j["layers"], 12);
  EXPECT_EQ(j["d_model"], 256);
  EXPECT_EQ(j["vocab_size"], 8192);
  uint64_t bytes = 0;
  for (const json& part : j["parts"]) bytes += part["bytes"].get<uint64_t>();
  EXPECT_EQ(bytes, j["weight_bytes"].get<uint64_t>());
  EXPECT_EQ(outcome.err, "");
  const Outcome text = run({"inspect", demo()});
  EXPECT_NE(text.out.find("12 layers"), std::string::npos) << text.out;
  EXPECT_EQ(text.out.find('\033'), std::string::npos);
  EXPECT_NE(run({"inspect", demo(), "--color", "always"}).out.find('\033'), std::string::npos);
}

TEST(Explain, NamesKernels) {
  for (const std::string device : {"cpu", "reference"}) {
    const Outcome outcome = run({"explain", demo(), "--device", device, "--threads", "1"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("linear"), std::string::npos) << outcome.out;
  }
}

TEST(Recipes, AreListed) {
  const json list = json::parse(run({"recipes", "--json"}).out);
  const std::string text = run({"recipes"}).out;
  for (const char* kind : {"recipes", "ingredients"}) {
    ASSERT_GE(list[kind].size(), 2u);
    for (const json& entry : list[kind]) EXPECT_NE(text.find(entry["name"].get<std::string>()), std::string::npos);
  }
}

TEST(Tokenize, RoundTrip) {
  const std::string text = "Café 漢字\n  two blanks";
  const std::string ids = run({"tokenize", demo(), text, "--ids"}).out;
  ASSERT_FALSE(ids.empty());
  EXPECT_EQ(run({"tokenize", demo(), "-", "--ids"}, {text, {}, {}}).out, ids);
  EXPECT_EQ(run({"tokenize", demo_file("tokenizer.json"), "--ids"}, {text, {}, {}}).out, ids);
  EXPECT_EQ(run({"tokenize", demo(), ids, "--decode"}).out, text + "\n");
  const json j = json::parse(run({"tokenize", demo(), text, "--json"}).out);
  EXPECT_EQ(j["text"], text);
  EXPECT_EQ(run({"tokenize", demo(), j["ids"].dump(), "--decode"}).out, text + "\n");
  EXPECT_EQ(j["ids"].size(), j["tokens"].size());
}

TEST(Generate, GreedyIsDeterministicAndStreams) {
  const std::vector<std::string> words = {"generate", demo(), "-p", "It was a dark night", "-n", "12"};
  const Outcome first = run(words);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_EQ(first.out.rfind("It was a dark night", 0), 0u);
  EXPECT_GT(first.out.size(), 30u);
  EXPECT_NE(first.err.find("tokens/s"), std::string::npos) << first.err;
  const Outcome quiet = run(with(words, {"-q", "--threads", "1", "--no-echo"}));
  EXPECT_EQ("It was a dark night" + quiet.out, first.out);
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(run({"generate", demo(), "-f", "-", "-n", "12"}, {"It was a dark night\n", {}, {}}).out, first.out);
}

TEST(Generate, PromptsTogetherAreAsAlone) {
  const std::vector<std::string> prompts = {"The old man", "London", "It was a dark night"};
  std::vector<std::string> words = {"generate", demo(), "-n", "6", "--batch", "2", "--temperature", "0.8", "--json"};
  for (const std::string& prompt : prompts) words = with(words, {"-p", prompt});
  const Outcome together = run(words);
  ASSERT_EQ(together.code, 0) << together.err;
  const json j = json::parse(together.out);
  ASSERT_EQ(j["completions"].size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const Outcome alone = run({"generate", demo(), "-n", "6", "--temperature", "0.8", "-p", prompts[i], "--no-echo"});
    EXPECT_EQ(j["completions"][i]["text"].get<std::string>() + "\n", alone.out);
    EXPECT_EQ(j["completions"][i]["prompt"], prompts[i]);
    EXPECT_EQ(j["completions"][i]["finish_reason"], "length");
  }
  words.erase(std::find(words.begin(), words.end(), "--json"));
  const std::string text = run(words).out;
  EXPECT_EQ(text.rfind("== 1\nThe old man", 0), 0u) << text;
  EXPECT_NE(text.find("\n== 3\nIt was a dark night"), std::string::npos) << text;
}

TEST(Generate, StopsAtAStopString) {
  const std::string prompt = "It was a dark night";
  const std::string text = run({"generate", demo(), "-p", prompt, "-n", "12", "--no-echo"}).out;
  const std::string stop = text.substr(text.size() / 2, 3);
  const json j = json::parse(run({"generate", demo(), "-p", prompt, "-n", "12", "--stop", stop, "--json"}).out);
  EXPECT_EQ(j["completions"][0]["finish_reason"], "stop");
  EXPECT_EQ(j["completions"][0]["text"], text.substr(0, text.find(stop)));
}

TEST(Quantize, WritesAModelThatIsSmaller) {
  const std::string& path = quantized("w4a16");
  EXPECT_EQ(json::parse(run({"inspect", path, "--json"}).out)["recipe"], "w4a16");
  const json j = json::parse(run({"compare", demo(), path, "--text", demo_file("eval.txt"), "--window", "128",
                                  "--windows", "4", "--json", "--max-ppl-increase", "50"})
                                 .out);
  EXPECT_LT(j["others"][0]["weight_bytes"], j["a"]["weight_bytes"]);
  EXPECT_GT(j["others"][0]["mean_kl"], 0);
  EXPECT_EQ(j["others"][0]["passed"], true);
  EXPECT_GT(j["others"][0]["same_top_token"], 0.5);
}

// Reading the reference once for several models gives each what it gets alone.
TEST(Compare, SeveralModelsAtOnce) {
  const std::string text = demo_file("eval.txt");
  const auto compare = [&](std::vector<std::string> models) {
    std::vector<std::string> args = {"compare", demo()};
    args.insert(args.end(), models.begin(), models.end());
    for (const char* more : {"--text", text.c_str(), "--window", "64", "--windows", "2", "--json"})
      args.push_back(more);
    return json::parse(run(args).out)["others"];
  };
  const std::string w8 = quantized("w8a8"), w4 = quantized("w4a16");
  const json both = compare({w8, w4});
  ASSERT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0]["mean_kl"], compare({w8})[0]["mean_kl"]);
  EXPECT_EQ(both[1]["mean_kl"], compare({w4})[0]["mean_kl"]);
  EXPECT_NE(both[0]["mean_kl"], both[1]["mean_kl"]);
}

TEST(Quantize, DryRunDoesNothing) {
  const std::string path = scratch() + "/out";
  const Outcome outcome = run({"quantize", demo(), "--recipe", "w8a8", "-o", path, "--dry-run"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("would quantize"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Quantize, OverwritesWhenForcedOnly) {
  const std::string path = scratch() + "/out";
  std::filesystem::create_directory(path);
  std::ofstream(path + "/mine") << "text";
  const std::vector<std::string> words = {"quantize", demo(), "--recipe", "w4a16", "-o", path, "--calib-samples", "1"};
  const Outcome refused = run(words);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
  EXPECT_EQ(slurp(path + "/mine"), "text");
  const Outcome forced = run(with(words, {"--force", "--json"}));
  EXPECT_EQ(forced.code, 0) << forced.err;
  EXPECT_FALSE(std::filesystem::exists(path + "/mine"));
  const json report = json::parse(forced.out);
  EXPECT_FALSE(report["passes"].empty());
  EXPECT_LT(report["bytes_after"], report["bytes_before"]);
}

// A recipe means the same everywhere: the level that runs here against double precision. Where activations are codes, sums
// that round differently turn some of them by one, and layers after it others, until that noise is as large as the
// recipe's own (docs/results.md): it may move predictions, but not quality.
TEST(Compare, LevelAgainstTheReference) {
  const auto compared = [](const std::string& recipe) {
    const std::string path = quantized(recipe);
    const json j = json::parse(run({"compare", path, path, "--device-a", "reference", "--text", demo_file("eval.txt"),
                                    "--window", "64", "--windows", "2", "--json"})
                                   .out);
    return j["others"][0];
  };
  EXPECT_LT(compared("w4a16")["mean_kl"], 1e-6);
  for (const char* recipe : {"w4a8", "w8a8"}) {
    const json c = compared(recipe);
    EXPECT_LT(std::abs(c["ppl_increase_percent"].get<double>()), 1.0) << recipe;
    EXPECT_GT(c["mean_kl"], 0) << recipe << ": both sides ran on one device";
  }
  EXPECT_EQ(run({"compare", demo(), demo(), "--device-a", "gpu", "--text", demo_file("eval.txt")}).code, 2);
}

TEST(Compare, TableAndGate) {
  const std::vector<std::string> words = {"compare",  demo(), quantized("w4a16"), "--text", demo_file("eval.txt"),
                                          "--window", "64",   "--windows",        "2"};
  const Outcome table = run(words);
  EXPECT_EQ(table.code, 0) << table.err;
  for (const char* title : {"perplexity", "bits/byte", "change", "mean KL", "same top token"}) {
    EXPECT_NE(table.out.find(title), std::string::npos) << table.out;
  }
  const Outcome failed = run(with(words, {"--max-ppl-increase", "-99"}));
  EXPECT_EQ(failed.code, 5);
  EXPECT_EQ(failed.out, table.out);
  EXPECT_NE(failed.err.find("error: quality gate failed"), std::string::npos) << failed.err;
}

TEST(Eval, PerplexityOfStandardInput) {
  const std::string text = slurp(demo_file("eval.txt")).substr(0, 3000);
  const std::vector<std::string> words = {"eval", "ppl", demo(), "--text", "-", "--window", "64", "--windows", "3"};
  const json j = json::parse(run(with(words, {"--json"}), {text, {}, {}}).out);
  EXPECT_EQ(j["windows"], 3);
  EXPECT_EQ(j["predicted"], 3 * 63);
  EXPECT_GT(j["perplexity"], 1);
  EXPECT_NE(run(words, {text, {}, {}}).out.find("perplexity"), std::string::npos);
}

TEST(Random, WritesWhatOtherVerbsRead) {
  const std::string path = scratch() + "/random";
  const std::vector<std::string> words = {"random", "mamba2-130m", "-o", path, "--layers", "1", "--json", "-q"};
  const Outcome outcome = run(words);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.out)["layers"], 1);
  const json seen = json::parse(run({"inspect", path, "--json"}).out);
  EXPECT_EQ(seen["d_model"], 768);
  EXPECT_EQ(seen["parameters"], json::parse(outcome.out)["parameters"]);
  EXPECT_EQ(run(words).code, 2);  // it is there
}

TEST(Eval, TasksOfAMadeUpFile) {
  const std::string data = scratch();
  std::ofstream(data + "/lambada_openai_test.jsonl") << "{\"text\": \"It was a dark night\"}\n{\"text\": \"Yes no\"}\n";
  const std::vector<std::string> words = {"eval", "tasks", demo(), "--data", data, "--tasks", "lambada"};
  const Outcome table = run(words);
  EXPECT_EQ(table.code, 0) << table.err;
  for (const char* part : {"LAMBADA", "acc", "perplexity", "stderr"}) EXPECT_NE(table.out.find(part), table.out.npos);
  EXPECT_EQ(table.out.find("mean of the six"), std::string::npos);
  const Outcome outcome = run(with(words, {"--json", "--samples", "--limit", "1", "-q"}));
  const json task = json::parse(outcome.out)["tasks"][0];
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(task["samples"], 1);
  EXPECT_EQ(task["samples_list"][0]["line"], 1);
  EXPECT_TRUE(task["metrics"]["acc"]["stderr"].is_null());  // one sample has none
  const double log_likelihood = task["samples_list"][0]["log_likelihoods"][0];
  EXPECT_NEAR(task["metrics"]["perplexity"]["value"].get<double>(), std::exp(-log_likelihood), 1e-6);
}

TEST(Bench, RandomModelsNeedNoFiles) {
  const Outcome outcome = run({"bench", "--random", "mamba2-130m", "--layers", "2", "--recipe", "w4a8", "-p", "16",
                               "-n", "4", "-r", "1", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json j = json::parse(outcome.out);
  ASSERT_EQ(j.size(), 2u);
  EXPECT_EQ(j[0]["recipe"], "w4a8");
  EXPECT_EQ(j[0]["model"], "mamba2-130m");
  EXPECT_GT(j[1]["tokens_per_second"], 0);
  EXPECT_EQ(run({"bench"}).code, 2);
  EXPECT_EQ(run({"bench", demo(), "--random", "mamba2-130m"}).code, 2);
  EXPECT_EQ(run({"bench", demo(), "--recipe", "w8a8"}).code, 2);
  EXPECT_NE(run({"bench", "--random", "mamba9"}).err.find("known are mamba-130m"), std::string::npos);
}

TEST(Bench, Formats) {
  const std::vector<std::string> words = {"bench", demo(), "-p", "16", "-n", "4,8", "-r", "2", "-t", "1"};
  const Outcome table = run(words);
  ASSERT_EQ(table.code, 0) << table.err;
  EXPECT_EQ(table.out.rfind("| model", 0), 0u) << table.out;
  for (const char* test : {"pp16", "tg4", "tg8", "ceiling"}) EXPECT_NE(table.out.find(test), std::string::npos) << test;
  const json rows = json::parse(run(with(words, {"--json"})).out);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["samples"].size(), 2u);
  const std::string lines = run(with(words, {"-o", "jsonl", "--no-warmup"})).out;
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  EXPECT_EQ(json::parse(lines.substr(0, lines.find('\n')))["test"], "pp16");
  EXPECT_EQ(run(with(words, {"-o", "csv"})).out.rfind("model,size,", 0), 0u);
}

TEST(Report, APageOfWhatOtherVerbsWrote) {
  const std::string folder = scratch(), out = folder + "/page.html";
  const Outcome compared = run({"compare", demo(), quantized("w4a16"), "--text", demo_file("eval.txt"), "--window",
                                "64", "--windows", "2", "--json"});
  const Outcome timed = run({"bench", quantized("w4a16"), "-p", "8", "-n", "2", "-r", "1", "-t", "1", "--json"});
  std::ofstream(folder + "/compare.json") << compared.out;
  const std::vector<std::string> words = {
      "report", folder + "/compare.json", quantized("w4a16") + "/", "-", "-o", out, "--title", "A <title>"};
  const Outcome outcome = run(words, {timed.out, {}, {}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("3 documents"), std::string::npos) << outcome.out;
  const std::string html = slurp(out);
  for (const char* part : {"<h1>A &lt;title&gt;</h1>", "demo-w4a16", "demo-w4a16\nlayer 11: ", "id=\"outliers\"",
                           "id=\"pareto\"", "id=\"speed\"", "</html>"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 2);  // no temporary file stays

  const Outcome refused = run(words, {timed.out, {}, {}});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
  const Outcome forced = run({"report", folder + "/compare.json", "-o", out, "-f", "--json"});
  EXPECT_EQ(forced.code, 0) << forced.err;
  EXPECT_EQ(json::parse(forced.out)["documents"], 1);
  EXPECT_EQ(slurp(out).find("id=\"speed\""), std::string::npos);
  const std::string kept = slurp(out);
  EXPECT_EQ(run({"report", folder + "/compare.json", "-", "-o", out, "-f"}, {"{}", {}, {}}).code, 3);
  EXPECT_EQ(slurp(out), kept);
}

TEST(Completion, ScriptsOfEveryShell) {
  const std::string folder = scratch();
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const Outcome outcome = run({"completion", shell});
    EXPECT_EQ(outcome.code, 0);
    for (const char* word : {"quantize", "max-ppl-increase", "recipe"}) {
      EXPECT_NE(outcome.out.find(word), std::string::npos) << shell << ": " << word;
    }
    std::ofstream(folder + "/" + shell) << outcome.out;
  }
  const std::string script =
      "source " + folder +
      "/bash; complete_it() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); "
      "COMPREPLY=(); _quamba2; echo \"${COMPREPLY[*]}\"; }; "
      "complete_it quamba2 quan; complete_it quamba2 eval p; complete_it quamba2 quantize m --rec; "
      "complete_it quamba2 bench --color ne";
  const std::string command = "bash -c '" + script + "' > " + folder + "/said";
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(slurp(folder + "/said"), "quantize\nppl\n--recipe\nnever\n");
}

}  // namespace
}  // namespace quamba2::cli
