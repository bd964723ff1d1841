// SPDX-License-Identifier: Apache-2.0
// The decoder of a tokenizer.json: stages that each take tokens and give tokens, here as a stream.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace quamba2 {

class Json;

// Takes one token as fragments and an end, any number of tokens, then `finish` once.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void text(std::string_view fragment) = 0;
  virtual void end_token() = 0;
  virtual void finish() = 0;
};

// What to build a chain from: immutable, shared by all streams of a tokenizer.
class DecodeChain {
 public:
  // `spec` is the member "decoder", or nullptr: then tokens are joined by spaces, as Hugging Face does. Throws
  // Error{kModelFile} naming an unknown stage.
  static DecodeChain from_json(const Json* spec, const std::string& where);

  // A running chain. `push` takes whole tokens.
  class Stream {
   public:
    explicit Stream(const DecodeChain& chain);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    void push(std::string_view token, std::string* out);
    void finish(std::string* out);

   private:
    std::vector<std::unique_ptr<DecodeStage>> stages_;  // last first
    std::string pending_;
  };

 private:
  using Factory = std::function<std::unique_ptr<DecodeStage>(DecodeStage* next)>;
  void add(const Json& spec, const std::string& where);
  std::vector<Factory> factories_;
};

}  // namespace quamba2
