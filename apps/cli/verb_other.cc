// SPDX-License-Identifier: Apache-2.0
// version, completion.
#include <fmt/format.h>

#include "cli.h"
#include "completion.h"
#include "json.h"

namespace quamba2::cli {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif
#ifdef NDEBUG
constexpr const char* kBuild = "release";
#else
constexpr const char* kBuild = "debug";
#endif

struct OtherArgs {
  std::string shell;
};

int version(Session& s, const OtherArgs&) {
  if (s.common.json) {
    Json json;
    json.open_object().field("version", QUAMBA2_VERSION).field("compiler", kCompiler).field("build", kBuild);
    s.out.write(json.close().text());
  } else {
    s.out.write(fmt::format("quamba2 {}\n", QUAMBA2_VERSION));
    if (s.common.verbose) s.out.write(fmt::format("compiler {}, {} build\n", kCompiler, kBuild));
  }
  return 0;
}

int completion(Session& s, const OtherArgs& args) {
  s.out.write(args.shell == "bash"  ? bash_completion(s.root)
              : args.shell == "zsh" ? zsh_completion(s.root)
                                    : fish_completion(s.root));
  return 0;
}

}  // namespace

void add_other_verbs(Program* program) {
  auto args = std::make_shared<OtherArgs>();
  CLI::App* verb = add_verb(program, &program->root, "completion", "Other", "print a completion script for a shell",
                            "source <(quamba2 completion bash)", 0);
  one_of(verb->add_option("SHELL", args->shell, "bash, zsh or fish")->required(), {"bash", "zsh", "fish"});
  set_action(program, verb, args, completion);
  verb = add_verb(program, &program->root, "version", "Other", "print the version", "quamba2 version --verbose", kJson);
  set_action(program, verb, args, version);
}

}  // namespace quamba2::cli
