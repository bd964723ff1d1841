// SPDX-License-Identifier: Apache-2.0
// tokenize: text to ids and back.
#include <fmt/format.h>

#include <charconv>

#include "cli.h"
#include "input.h"
#include "json.h"
#include "table.h"

namespace quamba2::cli {
namespace {

struct TokenizeArgs {
  std::string tokenizer, text = "-";
  bool ids = false, decode = false, special = false;
};

// Numbers between blanks, commas and brackets: "1 2 3" and "[1, 2, 3]".
std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const std::string between = " \t\r\n,[]";
  for (size_t at = text.find_first_not_of(between); at != std::string::npos; at = text.find_first_not_of(between, at)) {
    const size_t end = std::min(text.find_first_of(between, at), text.size());
    int32_t id = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, id);
    if (error != std::errc() || stop != text.data() + end || id < 0) {
      throw Error(ErrorCode::kUsage, "bad token id", "--decode", "'" + text.substr(at, end - at) + "' is not one",
                  "give whole numbers from 0 on, with blanks or commas between");
    }
    ids.push_back(id);
    at = end;
  }
  return ids;
}

std::string ids_line(const std::vector<int32_t>& ids) { return fmt::format("{}\n", fmt::join(ids, " ")); }

std::string quoted(const std::string& text) {
  std::string json = Json(true).value(text).text();
  json.pop_back();  // the line's end
  return json;
}

std::string pieces_table(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool colour) {
  Table table;
  table.column("id", Align::kRight);
  table.column("token");
  for (const int32_t id : ids) table.row({fmt::format("{}", id), quoted(tokenizer.token_text(id))});
  return table.aligned(colour);
}

int tokenize(Session& s, const TokenizeArgs& args) {
  const std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::load(args.tokenizer);
  const std::string input = args.text == "-" ? read_input("-", "TEXT") : args.text;
  const std::vector<int32_t> ids = args.decode ? parse_ids(input) : tokenizer->encode(input, args.special);
  const std::string text = args.decode ? tokenizer->decode(ids) : input;
  if (s.common.json) {
    std::vector<std::string> tokens;
    for (const int32_t id : ids) tokens.push_back(tokenizer->token_text(id));
    s.out.write(Json().open_object().field("text", text).field("ids", ids).field("tokens", tokens).close().text());
  } else if (args.decode) {
    s.out.write(text + "\n");
  } else {
    s.out.write(args.ids ? ids_line(ids) : pieces_table(*tokenizer, ids, s.terminal.output_colour));
  }
  return 0;
}

}  // namespace

void add_tokenize_verb(Program* program) {
  auto args = std::make_shared<TokenizeArgs>();
  CLI::App* verb = add_verb(program, &program->root, "tokenize", "Run", "turn text into token ids, or back",
                            "quamba2 tokenize mamba2-130m \"Once upon a time\"", kJson);
  verb->add_option("MODEL", args->tokenizer, "model directory, tokenizer.json or tokenizer.model")->required();
  verb->add_option("TEXT", args->text, "text, or ids with --decode (default -: standard input)");
  auto* ids = verb->add_flag("--ids", args->ids, "print the ids alone, on one line");
  verb->add_flag("--decode", args->decode, "TEXT is ids: print their text")->excludes(ids);
  verb->add_flag("--special", args->special, "add the tokens that the model wants around a text");
  set_action(program, verb, args, tokenize);
}

}  // namespace quamba2::cli
