// SPDX-License-Identifier: Apache-2.0
// Tasks on the bundled model and made-up files: scores are those of tokens fed one by one, however they are batched.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <future>

#include "quamba2/quamba2.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

std::string demo() { return testing::source_path("models/demo"); }

const char* const kLambada =
    "{\"text\": \"It was a dark and stormy night and the rain fell all through the night\"}\n"
    "{\"text\": \"The captain said \\\"Good\\\" and went below. He was tired, said the Captain\"}\n\n"
    "{\"text\": \"Yes no\"}\n";
const char* const kPiqa =
    "{\"ctx\": \"Question: How do I open a door?\\nAnswer:\", \"choices\": [\"Turn the handle \", \"Eat caf\u00e9.\"], "
    "\"gold\": 0}\n"
    "{\"ctx\": \"Question: dresser \", \"choices\": [\"a\", \"replace the drawer with a pin\", \" b\"], \"gold\": 2}\n";
const char* const kWinogrande =
    "{\"partial_ctx\": [\"Sarah was better than Maria so Sarah\", \"Sarah was better than Maria so Maria\"], "
    "\"target\": \" always got the easier cases.\", \"gold\": 1}\n";
const char* const kMmluDev =
    "{\"question\": \"Who wrote it? \", \"subject\": \"world_religions\", \"choices\": [\"he\", \"she\", \"it\", "
    "\"we\"], "
    "\"answer\": 1}\n"
    "{\"question\": \"And when?\", \"subject\": \"world_religions\", \"choices\": [\"1\", \"2\", \"3\", \"4\"], "
    "\"answer\": 3}\n"
    "{\"question\": \"What is a group?\", \"subject\": \"my_subject\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], "
    "\"answer\": 0}\n";
const char* const kMmlu =
    "{\"question\": \"Why?\", \"subject\": \"world_religions\", \"choices\": [\"x\", \"y\", \"z\", \"\"], \"answer\": "
    "2}\n"
    "{\"question\": \"How?\", \"subject\": \"world_religions\", \"choices\": [\"p\", \"q\", \"r\", \"s\"], \"answer\": "
    "0}\n"
    "{\"question\": \"Is it?\", \"subject\": \"my_subject\", \"choices\": [\"p\", \"q\", \"r\", \"s\"], \"answer\": "
    "0}\n";

std::string made_up_data() {
  const std::string folder = testing::temporary_directory();
  std::ofstream(folder + "/lambada_openai_test.jsonl") << kLambada;
  std::ofstream(folder + "/piqa_val.jsonl") << kPiqa;
  std::ofstream(folder + "/winogrande_xl_val.jsonl") << kWinogrande;
  std::ofstream(folder + "/mmlu_dev_all.jsonl") << kMmluDev;
  std::ofstream(folder + "/mmlu_test_all.jsonl") << kMmlu;
  return folder;
}

TaskOptions options_for(const std::vector<std::string>& names, int shots = -1) {
  TaskOptions options;
  options.data = made_up_data();
  options.names = names;
  options.shots = shots;
  options.keep_samples = true;
  return options;
}

// Token by token, from the text cut by hand.
double fed_one_by_one(Engine& engine, const std::string& context, const std::string& continuation) {
  const std::vector<int32_t> whole = engine.tokenizer().encode(context + continuation);
  const size_t cut = engine.tokenizer().encode(context).size();
  engine.reset(0);
  double sum = 0;
  for (size_t i = 0; i + 1 < whole.size(); ++i) {
    engine.feed(0, {&whole[i], 1});
    if (i + 1 < cut) continue;
    const std::vector<float> logits = engine.logits(0);
    double total = 0;
    for (float v : logits) total += std::exp(static_cast<double>(v));
    sum += logits[static_cast<size_t>(whole[i + 1])] - std::log(total);
  }
  return sum;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-4) << i;
}

TEST(Tasks, ScoresAreThoseOfTokensFedOneByOne) {
  Engine engine = Engine::load(demo(), {.max_sequences = 3});
  const TaskReport report = evaluate_tasks(engine, options_for({"lambada", "piqa", "winogrande"}));
  const auto& lambada = report.tasks[0].every_sample;
  ASSERT_EQ(lambada.size(), 3u);
  EXPECT_EQ(lambada[2].line, 4);
  expect_near(lambada[0].log_likelihoods,
              {fed_one_by_one(engine, "It was a dark and stormy night and the rain fell all through the", " night")});
  expect_near(lambada[2].log_likelihoods, {fed_one_by_one(engine, "Yes", " no")});
  const auto& piqa = report.tasks[1].every_sample;
  const std::string door = "Question: How do I open a door?\nAnswer:", dresser = "Question: dresser";
  expect_near(piqa[0].log_likelihoods,
              {fed_one_by_one(engine, door, " Turn the handle "), fed_one_by_one(engine, door, " Eat caf\u00e9.")});
  expect_near(piqa[1].log_likelihoods, {fed_one_by_one(engine, dresser, "  a"),
                                        fed_one_by_one(engine, dresser, "  replace the drawer with a pin"),
                                        fed_one_by_one(engine, dresser, "   b")});
  const std::string cases = " always got the easier cases.", start = "Sarah was better than Maria so ";
  expect_near(report.tasks[2].every_sample[0].log_likelihoods,
              {fed_one_by_one(engine, start + "Sarah", cases), fed_one_by_one(engine, start + "Maria", cases)});
  EXPECT_FALSE(report.mean.has_value());
}

TEST(Tasks, MmluPromptIsThatOfTheHarness) {
  Engine engine = Engine::load(demo(), {.max_sequences = 2});
  const std::string about = "The following are multiple choice questions (with answers) about world religions.\n\n";
  const std::string shot = "Who wrote it?\nA. he\nB. she\nC. it\nD. we\nAnswer: B\n\n";
  const std::string question = "Why?\nA. x\nB. y\nC. z\nD. \nAnswer:";
  for (const int shots : {0, 1}) {
    const TaskResult r = evaluate_tasks(engine, options_for({"mmlu"}, shots)).tasks[0];
    const std::string prompt = about + (shots == 1 ? shot : "") + question;
    std::vector<double> want;
    for (const char* letter : {" A", " B", " C", " D"}) want.push_back(fed_one_by_one(engine, prompt, letter));
    expect_near(r.every_sample[0].log_likelihoods, want);
    ASSERT_EQ(r.groups.size(), 3u);  // two subjects, and the one category that is known
    EXPECT_EQ(r.groups[0].name, "world_religions");
    EXPECT_EQ(r.groups[0].category, "humanities");
    EXPECT_EQ(r.groups[1].category, "");
    EXPECT_EQ(r.groups[2].name, "humanities");
    EXPECT_EQ(r.groups[2].samples, 2);
  }
}

// Sharing, slots and the size of a call change nothing; neither with states of 8 bits.
TEST(Tasks, BatchingChangesNoScore) {
  for (const std::string recipe : {"", "w8a8"}) {
    Model model = Model::from_pretrained(demo());
    if (!recipe.empty()) {
      std::ifstream text(testing::source_path("models/demo/calib.txt"));
      QuantizeOptions options{.recipe = recipe, .calibration_samples = 2, .calibration_window = 128};
      options.calibration_text.assign(std::istreambuf_iterator<char>(text), {});
      quantize(model, options);
    }
    TaskOptions options = options_for({"lambada", "piqa", "winogrande"});
    std::vector<std::vector<double>> first;
    for (const auto& [slots, share] : {std::pair{1, false}, {1, true}, {5, false}, {5, true}}) {
      Engine engine(model, {.max_sequences = slots});
      options.share_prefixes = share;
      std::vector<std::vector<double>> got;
      for (const TaskResult& r : evaluate_tasks(engine, options).tasks) {
        for (const TaskSample& s : r.every_sample) got.push_back(s.log_likelihoods);
      }
      if (first.empty()) first = got;
      ASSERT_EQ(got.size(), first.size());
      for (size_t i = 0; i < got.size(); ++i) {
        for (size_t c = 0; c < got[i].size(); ++c)
          EXPECT_NEAR(got[i][c], first[i][c], 1e-5) << recipe << " " << slots << share;
      }
    }
  }
}

TEST(Tasks, ReadWholeTheScoresAreThoseOfAService) {
  TaskOptions options = options_for({"piqa", "lambada"});
  options.chunk = 7;
  Engine engine = Engine::load(demo(), {.max_sequences = 3, .max_tokens = 20});
  const TaskReport report = evaluate_tasks(engine, options);
  options.share_prefixes = false;
  const TaskReport alone = evaluate_tasks(engine, options);
  const std::unique_ptr<Service> service = Service::load(demo(), {.slots = 2, .chunk = 7, .cache_bytes = 0});
  const std::string context = "Question: How do I open a door?\nAnswer:";
  const std::vector<std::string> choices = {" Turn the handle ", " Eat caf\u00e9."};
  const size_t known = engine.tokenizer().encode(context).size();
  for (size_t i = 0; i < choices.size(); ++i) {
    GenerationRequest request{engine.tokenizer().encode(context + choices[i])};
    request.sampling.max_tokens = 0;
    request.prompt_logprobs = 0;
    std::promise<double> promise;
    double sum = 0;
    size_t at = 0;
    ASSERT_TRUE(service->submit({request}, [&](size_t, GenerationUpdate&& update) {
      for (const TokenReport& token : update.prompt_tokens) {
        if (at++ >= known) sum += token.log_probability;
      }
      if (update.finished) promise.set_value(sum);
      return true;
    }));
    const double expected = promise.get_future().get();
    EXPECT_LT(expected, 0);
    EXPECT_EQ(report.tasks[0].every_sample[0].log_likelihoods[i], expected);
    EXPECT_EQ(alone.tasks[0].every_sample[0].log_likelihoods[i], expected);
  }
  options.chunk = 21;
  EXPECT_THROW(evaluate_tasks(engine, options), Error);
}

TEST(Tasks, SharingSparesTokensOfEqualContexts) {
  Engine engine = Engine::load(demo(), {.max_sequences = 4});
  TaskOptions options = options_for({"mmlu"}, 1);
  const TaskResult shared = evaluate_tasks(engine, options).tasks[0];
  options.share_prefixes = false;
  const TaskResult alone = evaluate_tasks(engine, options).tasks[0];
  EXPECT_EQ(alone.tokens_shared, 0);
  EXPECT_EQ(shared.tokens_read + shared.tokens_shared, alone.tokens_read);
  EXPECT_LT(3 * shared.tokens_read, alone.tokens_read);
  for (size_t i = 0; i < 3; ++i)
    expect_near(shared.every_sample[i].log_likelihoods, alone.every_sample[i].log_likelihoods);
}

TEST(Tasks, LimitTakesTheFirstSamplesOfEverySubject) {
  Engine engine = Engine::load(demo());
  TaskOptions options = options_for({"lambada", "mmlu"}, 0);
  options.limit = 1;
  const TaskReport report = evaluate_tasks(engine, options);
  EXPECT_EQ(report.tasks[0].samples, 1);
  EXPECT_EQ(report.tasks[1].samples, 2);
  EXPECT_EQ(report.tasks[1].every_sample[1].group, "my_subject");
}

TEST(Tasks, FaultsAreNamed) {
  Engine engine = Engine::load(demo());
  const auto fault = [&](TaskOptions options, const std::string& file = "", const std::string& text = "") {
    if (!file.empty()) std::ofstream(options.data + "/" + file) << text;
    try {
      evaluate_tasks(engine, options);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  EXPECT_TRUE(has(fault(options_for({"lambda"})), "unknown task 'lambda'"));
  EXPECT_TRUE(has(fault(options_for({"hellaswag"})), "no such file"));
  EXPECT_TRUE(has(fault(options_for({"piqa"}, 2)), "no examples"));
  EXPECT_TRUE(has(fault(options_for({"mmlu"}, 2)), "has 1 examples"));
  EXPECT_TRUE(has(fault(options_for({"lambada"}), "lambada_openai_test.jsonl", "{\"text\": \"one\"}\n"),
                  "lambada_openai_test.jsonl:1"));
  EXPECT_TRUE(has(fault(options_for({"lambada"}), "lambada_openai_test.jsonl", "\n"), "no samples"));
  EXPECT_TRUE(has(fault(options_for({"winogrande"}), "winogrande_xl_val.jsonl",
                        "{\"partial_ctx\": [\"a\", \"b\"], \"target\": \" \", \"gold\": 0}"),
                  "'target' is empty"));
  EXPECT_TRUE(
      has(fault(options_for({"piqa"}), "piqa_val.jsonl", "{\"ctx\": \"a\", \"choices\": [\"b\", \"c\"], \"gold\": 2}"),
          "piqa_val.jsonl:1"));
}

// Real files: every line of them is read, and chance is not far.
TEST(Tasks, SharedFilesAreRead) {
  QUAMBA2_NEEDS_SHARED("data/eval/piqa_val.jsonl");
  Engine engine = Engine::load(demo(), {.max_sequences = 8});
  TaskOptions options;
  options.data = testing::shared_path("data/eval");
  options.limit = 4;
  const TaskReport report = evaluate_tasks(engine, options);
  ASSERT_EQ(report.tasks.size(), 6u);
  for (const TaskResult& r : report.tasks) EXPECT_EQ(r.samples, 4) << r.task.name;
  ASSERT_TRUE(report.mean.has_value());
  EXPECT_GE(*report.mean, 0);
  EXPECT_LE(*report.mean, 1);
}

}  // namespace
}  // namespace quamba2
