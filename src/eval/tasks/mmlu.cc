// SPDX-License-Identifier: Apache-2.0
// MMLU: questions of 57 subjects with four choices, of which the letter is to be predicted behind some examples of the
// subject. A line is {"question", "subject", "choices", "answer"}.
#include <map>

#include "base/file.h"
#include "eval/task.h"

namespace quamba2 {
namespace {

constexpr const char* kLetters[] = {"A", "B", "C", "D"};

// Categories of subjects, as lm-evaluation-harness (tasks/mmlu/_generate_configs.py) and the paper group them.
const std::map<std::string, std::string>& categories() {
  static const std::map<std::string, std::string> of = [] {
    std::map<std::string, std::string> out;
    const auto add = [&](const char* category, std::initializer_list<const char*> subjects) {
      for (const char* subject : subjects) out[subject] = category;
    };
    add("stem",
        {"abstract_algebra", "anatomy", "astronomy", "college_biology", "college_chemistry", "college_computer_science",
         "college_mathematics", "college_physics", "computer_security", "conceptual_physics", "electrical_engineering",
         "elementary_mathematics", "high_school_biology", "high_school_chemistry", "high_school_computer_science",
         "high_school_mathematics", "high_school_physics", "high_school_statistics", "machine_learning"});
    add("social_sciences",
        {"econometrics", "high_school_geography", "high_school_government_and_politics", "high_school_macroeconomics",
         "high_school_microeconomics", "high_school_psychology", "human_sexuality", "professional_psychology",
         "public_relations", "security_studies", "sociology", "us_foreign_policy"});
    add("humanities",
        {"formal_logic", "high_school_european_history", "high_school_us_history", "high_school_world_history",
         "international_law", "jurisprudence", "logical_fallacies", "moral_disputes", "moral_scenarios", "philosophy",
         "prehistory", "professional_law", "world_religions"});
    add("other", {"business_ethics", "clinical_knowledge", "college_medicine", "global_facts", "human_aging",
                  "management", "marketing", "medical_genetics", "miscellaneous", "nutrition",
                  "professional_accounting", "professional_medicine", "virology"});
    return out;
  }();
  return of;
}

std::string category_of(const std::string& subject) {
  const auto at = categories().find(subject);
  return at == categories().end() ? "" : at->second;
}

// ASCII white space: Jinja's strip() takes more, which no question has.
std::string stripped(const std::string& text) {
  const char* blanks = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(blanks);
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

std::string question_text(const Record& record) {
  const std::vector<std::string> choices = record.texts("choices", 4);
  if (choices.size() != 4) record.refuse("'choices' has more than 4 elements");
  std::string text = stripped(record.text("question"));
  for (size_t i = 0; i < 4; ++i) text += std::string("\n") + kLetters[i] + ". " + choices[i];
  return text + "\nAnswer:";
}

std::string description(const std::string& subject) {
  std::string words = subject;
  for (char& c : words) c = c == '_' ? ' ' : c;
  return "The following are multiple choice questions (with answers) about " + words + ".\n\n";
}

struct Examples {
  int wanted = 0;
  std::string path;
  std::map<std::string, std::string> texts;  // by subject: the first `wanted` examples
  std::map<std::string, int> counts;

  void load() {
    if (wanted == 0) return;
    for_each_record(path, [&](const Record& record) {
      const std::string subject = record.text("subject");
      const auto answer = static_cast<size_t>(record.index("answer", 4));
      if (counts[subject] < wanted) {
        texts[subject] += question_text(record) + " " + kLetters[answer] + "\n\n";
        ++counts[subject];
      }
      return true;
    });
  }

  TaskItem read(const Record& record) const {
    TaskItem item;
    item.group = record.text("subject");
    const auto found = counts.find(item.group);
    const int have = found == counts.end() ? 0 : found->second;
    if (have < wanted) {
      record.refuse("the subject '" + item.group + "' has " + std::to_string(have) + " examples in " + path + ", " +
                        std::to_string(wanted) + " are wanted",
                    "ask for fewer by --fewshot");
    }
    const std::string shared = description(item.group) + (wanted > 0 ? texts.at(item.group) : "");
    const std::string question = question_text(record);
    for (const char* letter : kLetters) item.requests.push_back({shared, question, std::string(" ") + letter});
    item.gold = static_cast<int32_t>(record.index("answer", 4));
    return item;
  }
};

}  // namespace

std::vector<Task> mmlu_tasks() {
  Task task;
  task.info = {"mmlu", "MMLU", "mmlu_test_all.jsonl", "acc", false};
  task.metrics = {{"acc"}};
  task.shots = 5;
  task.shots_file = "mmlu_dev_all.jsonl";
  task.reader = [](const std::string& path, int shots) -> std::function<TaskItem(const Record&)> {
    const auto examples = std::make_shared<Examples>();
    examples->wanted = shots;
    examples->path = path;
    examples->load();
    return [examples](const Record& record) { return examples->read(record); };
  };
  task.judge = judge_choices;
  task.category = category_of;
  return {task};
}

}  // namespace quamba2
