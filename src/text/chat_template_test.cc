// SPDX-License-Identifier: Apache-2.0
// Chat templates against what jinja2 makes of them (tests/oracle/chat_templates_oracle.py), the files they come from, and
// what hostile ones may cost.
#include "quamba2/chat_template.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "quamba2/error.h"
#include "support/paths.h"

namespace quamba2 {
namespace {

using testing::source_path;

std::vector<Json> oracle_cases() {
  std::ifstream in(source_path("tests/data/chat_templates/cases.jsonl"));
  std::vector<Json> out;
  for (std::string line; std::getline(in, line);) out.push_back(Json::parse(line, "cases.jsonl"));
  return out;
}

// What the library makes of a case; an Error is the outcome where there is no text.
struct Outcome {
  std::string text;
  std::optional<Error> error;
};

Outcome render(const Json& c, const std::string& chat) {
  ChatTemplateOptions options;
  if (const Json* tools = c.find("tools")) options.tools = tools->dump(-1);
  if (const Json* variables = c.find("variables")) options.variables = variables->dump(-1);
  const Json* messages = c.find("messages");
  try {
    const ChatTemplate t = ChatTemplate::parse(c.find("template")->as_string("template"), "case")
                               .with_token("bos_token", "<s>")
                               .with_token("eos_token", "</s>");
    return {t.render_json(messages ? messages->dump(-1) : chat, options), std::nullopt};
  } catch (const Error& e) {
    return {{}, e};
  }
}

TEST(ChatTemplate, WritesWhatJinja2Writes) {
  const std::vector<Json> cases = oracle_cases();
  ASSERT_GT(cases.size(), 1500u);
  const std::string chat = cases.back().find("chat")->dump(-1);
  size_t texts = 0, failures = 0, refused = 0;
  for (size_t i = 0; i + 1 < cases.size(); ++i) {
    const Json& c = cases[i];
    const Outcome got = render(c, chat);
    if (c.find("fails")) {
      EXPECT_TRUE(got.error) << c.dump(-1) << "\n gives " << got.text;
      ++failures;
    } else if (got.error && got.error->code() == ErrorCode::kModelFile) {
      // A refusal by name is honest, but nothing that templates use may be refused.
      EXPECT_TRUE(got.error->why().find("not known here") != std::string::npos) << got.error->what() << "\n"
                                                                                << c.dump(-1);
      ++refused;
      if (std::getenv("QUAMBA2_SHOW_REFUSED")) printf("%s\n  %s\n", c.dump(-1).c_str(), got.error->what());
    } else {
      ++texts;
      EXPECT_FALSE(got.error) << c.dump(-1) << "\n" << got.error->what();
      EXPECT_EQ(got.text, c.find("text")->as_string("text")) << c.dump(-1);
    }
  }
  printf("%zu texts, %zu failures, %zu refused by name\n", texts, failures, refused);
  EXPECT_GT(texts, 900u);
  EXPECT_GT(failures, 100u);
  EXPECT_EQ(refused, 0u);
}

Error failure_of(const std::string& source) {
  Outcome got;
  try {
    got.text = ChatTemplate::parse(source, "t").render({{"user", "hi"}});
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << source.substr(0, 200) << " gives " << got.text.substr(0, 200);
  return Error(ErrorCode::kInternal, "", "", "");
}

TEST(ChatTemplate, RefusesByNameWithTheLine) {
  const struct {
    const char* source;
    const char* line;
    const char* why;
  } cases[] = {
      {"a\n{{ 'x' | wordwrap }}", "t: line 2", "the filter \"wordwrap\" is not known here; known are: abs, capitalize"},
      {"{% macro f() %}{% endmacro %}", "t: line 1", "the statement \"macro\" is not known"},
      {"\n\n{% include 'x' %}", "t: line 3", "the statement \"include\" is not known"},
      {"{{ 1 is sameas 1 }}", "t: line 1", "the test \"sameas\" is not known here"},
      {"{{ 'x'.format(1) }}", "t: line 1", "the method \"format\" is not known here"},
      {"{{ [].append(1) }}", "t: line 1", "the method \"append\" is not known here"},
      {"{{ ''.__class__() }}", "t: line 1", "the method \"__class__\" is not known here"},
      {"{{ lipsum() }}", "t: line 1", "the function \"lipsum\" is not known here"},
      {"{{ 2 ** 3 }}", "t: line 1", "the operator **"},
      {"{% for x in [] recursive %}{% endfor %}", "t: line 1", "a recursive for"},
      {"{{ messages[0].items }}", "t: line 1", "the method \"items\" without a call"},
      {"{{ '%s' % 'a' }}", "t: line 1", "formatting a string with %"},
      {"{{ {1: 2} }}", "t: line 1", "a key of a dict that is no str"},
      {"{% set ns = namespace() %}\n{{ [ns] }}", "t: line 2", "a namespace or loop inside of a list"},
      {"{{ range }}", "t: line 1", "printing a function"},
      {"{% if 1 %}\n{% set x %}", "t: line 2", "has no {% endset %}"},
      {"\xff", "t", "no UTF-8"},
  };
  for (const auto& c : cases) {
    const Error e = failure_of(c.source);
    EXPECT_EQ(e.code(), ErrorCode::kModelFile) << c.source;
    EXPECT_EQ(e.where(), c.line) << c.source;
    EXPECT_NE(e.why().find(c.why), std::string::npos) << e.what();
  }
}

TEST(ChatTemplate, FailsWhereTheMessagesDoNotFit) {
  const Error refused = failure_of("{{ bos_token }}\n{{ raise_exception('no ' ~ messages[0].role) }}");
  EXPECT_EQ(refused.code(), ErrorCode::kUsage);
  EXPECT_STREQ(refused.what(), "the chat template refuses these messages (t: line 2): no user");
  const Error undefined = failure_of("\n\n{{ messages[0].name.first }}");
  EXPECT_EQ(undefined.code(), ErrorCode::kUsage);
  EXPECT_STREQ(undefined.what(), "chat template failed (t: line 3): \"dict has no attribute \"name\"\" is undefined");
}

std::string repeated(const std::string& what, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += what;
  return out;
}

TEST(ChatTemplate, BoundsWhatHostileOnesCost) {
  const std::string grows = "{% set ns = namespace(x='ab', l=[1]) %}{% for i in range(100) %}";
  const std::string sources[] = {
      "{{ " + repeated("(", 100000),
      "{{ " + repeated("[", 1000) + repeated("]", 1000) + " }}",
      "{{ " + repeated("not ", 100000) + "1 }}",
      "{{ " + repeated("- ", 100000) + "1 }}",
      "{{ 1" + repeated(" + 1", 100000) + " }}",
      "{{ 'a'" + repeated("|upper", 100000) + " }}",
      "{{ x" + repeated(".y", 100000) + " }}",
      "{{ " + repeated("1 if 1 else ", 100000) + "1 }}",
      repeated("{% if 1 %}", 100000),
      repeated("{% for x in [1] %}", 1000) + repeated("{% endfor %}", 1000),
      repeated("{% set x %}", 1000) + repeated("{% endset %}", 1000),
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% for a in range(100001) %}{% endfor %}",
      grows + "{% set ns.x = ns.x + ns.x %}{% endfor %}",
      grows + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
      grows + "{% set ns.x = ns.x|replace('a', ns.x) %}{% endfor %}",
      grows + "{% set ns.l = ns.l + ns.l %}{% endfor %}",
      grows + "{% set ns.l = [ns.l] %}{% endfor %}",
      grows + "{% set ns.l = {'a': ns.l} %}{% endfor %}",
      grows + "{% set ns.l = ns.l * 1000 %}{% endfor %}",
      grows + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|tojson "
      "}}",
      "{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, "
      "ns.m] %}"
      "{% endfor %}{{ ns.l == ns.m }}",
      "{{ 'a' * 9223372036854775807 }}",
      "{{ 'ab' * 4611686018427387904 * 2 }}",
      "{{ [1] * 9223372036854775807 }}",
      "{{ 9223372036854775807 + 1 }}",
      "{{ (0 - 9223372036854775807 - 1) // -1 }}",
      "{{ 'x'|indent(9223372036854775807) }}{{ 1 / 0 }}",
      "{{ [[[[[1]]]]]|tojson(indent=9223372036854775807) }}",
      "{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}",
      std::string((1 << 20) + 1, 'a'),
  };
  for (const std::string& source : sources) failure_of(source);
}

TEST(ChatTemplate, TakesMessagesAsJsonToo) {
  const ChatTemplate t = ChatTemplate::chatml();
  const std::string text = "<|im_start|>user\nhé\uFFFD<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(t.render({{"user", "hé\xff"}}), text);
  EXPECT_EQ(t.render_json(R"([{"role": "user", "content": "hé\ufffd"}])"), text);
  EXPECT_EQ(t.render_json(R"([{"role": "user", "content": [{"type": "text", "text": "h"}, "é\ufffd"]}])"), text);
  EXPECT_EQ(t.render({{"user", "a"}}, {.add_generation_prompt = false}), "<|im_start|>user\na<|im_end|>\n");
  const ChatTemplate parts = ChatTemplate::parse("{% for p in messages[0].content %}{{ p.text }};{% endfor %}", "t");
  EXPECT_EQ(parts.render_json(R"([{"role": "user", "content": [{"text": "a"}, {"text": "b"}]}])"), "a;b;");
  const ChatTemplate named = ChatTemplate::parse("{{ bos_token }}{{ add_generation_prompt }}{{ x }}{{ tools }}", "t");
  EXPECT_EQ(named.render_json("[]", {.tools = "[1]", .variables = R"({"x": {"y": 0.5}, "bos_token": "<s>"})"}),
            "<s>True{'y': 0.5}[1]");
  const struct {
    const char *messages, *tools, *variables;
  } broken[] = {{"{}", "", ""},
                {"[", "", ""},
                {"[1]", "", ""},
                {R"([{"content": "a"}])", "", ""},
                {"[]", "{}", ""},
                {"[]", "nope", ""},
                {"[]", "", "[]"},
                {R"([{"role": 1}])", "", ""},
                {"[]", "", "{"},
                {"", "", ""},
                {"[]", "", R"({"messages": 1})"},
                {R"([{"role": "user", "content": [{"type": "image_url"}]}])", "", ""}};
  for (const auto& b : broken) {
    try {
      t.render_json(b.messages, {.tools = b.tools, .variables = b.variables});
      ADD_FAILURE() << b.messages << b.tools << b.variables;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kUsage) << e.what();
    }
  }
}

class ChatFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "chat_files_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_ + "/additional_chat_templates");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) { write_file(folder_ + "/" + name, text); }
  std::string render(const std::string& name = "default") {
    return ChatTemplate::find(folder_, name)->render({{"user", "hi"}});
  }
  ErrorCode code_of(const std::string& name) {
    try {
      ChatTemplate::find(folder_, name);
    } catch (const Error& e) {
      return e.code();
    }
    return ErrorCode::kInternal;
  }
  std::string folder_;
};

TEST_F(ChatFiles, FindsTheTemplateOfAModel) {
  EXPECT_FALSE(ChatTemplate::find(folder_).has_value());
  write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null})");
  EXPECT_FALSE(ChatTemplate::find(folder_).has_value());
  write("tokenizer_config.json",
        R"({"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}{{ pad_token is defined }}",
            "bos_token": "<s>", "eos_token": {"content": "</s>"}, "pad_token": null})");
  EXPECT_EQ(render(), "<s>hi</s>False");
  EXPECT_EQ(ChatTemplate::find(folder_)->token("eos_token"), "</s>");
  EXPECT_EQ(code_of("tool_use"), ErrorCode::kModelFile);
  write("special_tokens_map.json", R"({"pad_token": "<pad>", "bos_token": "<other>"})");
  EXPECT_EQ(render(), "<s>hi</s>True");
  write("tokenizer_config.json",
        R"({"chat_template": [{"name": "default", "template": "a"}, {"name": "tool_use", "template": "b"}]})");
  EXPECT_EQ(render() + render("tool_use"), "ab");
  EXPECT_EQ(code_of("rag"), ErrorCode::kModelFile);
  write("chat_template.jinja", "c{{ bos_token }}\n");
  write("additional_chat_templates/rag.jinja", "d");
  EXPECT_EQ(render() + render("rag") + render("tool_use"), "c<other>db");
  EXPECT_EQ(code_of("../additional_chat_templates/rag"), ErrorCode::kModelFile);
  EXPECT_EQ(code_of(""), ErrorCode::kModelFile);
}

TEST_F(ChatFiles, NamesTheFileInErrors) {
  write("chat_template.jinja", "\n{{ x | nope }}");
  try {
    ChatTemplate::find(folder_);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.where(), folder_ + "/chat_template.jinja: line 2");
  }
}

}  // namespace
}  // namespace quamba2
