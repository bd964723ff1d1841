// SPDX-License-Identifier: Apache-2.0
#include "text/decode_stages.h"

#include <utility>

#include "text/byte_level.h"
#include "text/utf8.h"

namespace quamba2 {
namespace {

class OutputStage : public DecodeStage {
 public:
  explicit OutputStage(std::string* out) : out_(out) {}
  void text(std::string_view fragment) override { out_->append(fragment); }
  void end_token() override {}
  void finish() override {}

 private:
  std::string* out_;
};

// A stage that needs whole tokens.
class TokenStage : public DecodeStage {
 public:
  explicit TokenStage(DecodeStage* next) : next_(next) {}
  void text(std::string_view fragment) override { token_.append(fragment); }
  void end_token() override {
    take(token_);
    token_.clear();
  }
  void finish() override { next_->finish(); }

 protected:
  virtual void take(const std::string& token) = 0;
  void give(std::string_view token) {
    next_->text(token);
    next_->end_token();
  }
  DecodeStage* next_;

 private:
  std::string token_;
};

// All tokens become one: their bytes, read as UTF-8 with repairs.
class ByteLevelStage : public TokenStage {
 public:
  using TokenStage::TokenStage;
  void finish() override {
    next_->text(utf8_sanitize(bytes_));
    next_->end_token();
    next_->finish();
  }

 protected:
  void take(const std::string& token) override {
    bytes_ += unmap_bytes(token);
    const size_t certain = bytes_.size() - utf8_incomplete_tail(bytes_);
    if (certain == 0) return;
    next_->text(utf8_sanitize(std::string_view(bytes_).substr(0, certain)));
    bytes_.erase(0, certain);
  }

 private:
  std::string bytes_;
};

// Runs of <0xAB> become the text that they spell or, when any of it is invalid, one U+FFFD for each byte. What a run
// is, is known at its end only.
class ByteFallbackStage : public TokenStage {
 public:
  using TokenStage::TokenStage;
  void finish() override {
    end_run();
    next_->finish();
  }

 protected:
  void take(const std::string& token) override {
    const int byte = parse(token);
    if (byte >= 0) {
      run_.push_back(static_cast<char>(byte));
    } else {
      end_run();
      give(token);
    }
  }

 private:
  static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  }
  static int parse(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
    if (token[3] == '+') return hex(token[4]);  // Rust's from_str_radix takes a sign
    const int high = hex(token[3]), low = hex(token[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
  void end_run() {
    if (run_.empty()) return;
    if (utf8_valid_prefix(run_) == run_.size()) {
      give(run_);
    } else {
      for (size_t i = 0; i < run_.size(); ++i) give(kReplacementCharacter);
    }
    run_.clear();
  }
  std::string run_;
};

class FuseStage : public DecodeStage {
 public:
  explicit FuseStage(DecodeStage* next) : next_(next) {}
  void text(std::string_view fragment) override { next_->text(fragment); }
  void end_token() override {}
  void finish() override {
    next_->end_token();
    next_->finish();
  }

 private:
  DecodeStage* next_;
};

class JoinStage : public DecodeStage {
 public:
  explicit JoinStage(DecodeStage* next) : next_(next) {}
  void text(std::string_view fragment) override {
    if (std::exchange(between_, false)) next_->text(" ");
    next_->text(fragment);
  }
  void end_token() override {
    if (std::exchange(between_, true)) next_->text(" ");  // the token was empty
  }
  void finish() override {
    next_->end_token();
    next_->finish();
  }

 private:
  DecodeStage* next_;
  bool between_ = false;
};

class ReplaceStage : public TokenStage {
 public:
  ReplaceStage(DecodeStage* next, Pattern pattern, std::string content)
      : TokenStage(next), pattern_(std::move(pattern)), content_(std::move(content)) {}

 protected:
  void take(const std::string& token) override { give(pattern_.replace_all(token, content_)); }

 private:
  Pattern pattern_;
  std::string content_;
};

// Takes `content` off both ends of every token, `start` and `stop` times at most. Only what may yet be stripped is held.
class StripStage : public DecodeStage {
 public:
  StripStage(DecodeStage* next, std::string content, int64_t start, int64_t stop)
      : next_(next), content_(std::move(content)), start_(start), stop_(stop), start_left_(start) {}

  void text(std::string_view fragment) override {
    while (start_left_ > 0 && fragment.starts_with(content_)) {
      fragment.remove_prefix(content_.size());
      --start_left_;
    }
    if (fragment.empty()) return;
    start_left_ = 0;
    size_t solid = fragment.size();
    int64_t tail = 0;
    while (fragment.substr(0, solid).ends_with(content_)) {
      solid -= content_.size();
      ++tail;
    }
    if (solid > 0) release(held_);
    next_->text(fragment.substr(0, solid));
    held_ += tail;
    if (held_ > stop_) release(held_ - stop_);
  }

  void end_token() override {
    held_ = 0;
    start_left_ = start_;
    next_->end_token();
  }
  void finish() override { next_->finish(); }

 private:
  void release(int64_t count) {
    for (int64_t i = 0; i < count; ++i) next_->text(content_);
    held_ -= count;
  }
  DecodeStage* next_;
  std::string content_;
  int64_t start_, stop_, start_left_, held_ = 0;
};

class MetaspaceStage : public TokenStage {
 public:
  MetaspaceStage(DecodeStage* next, std::string mark, bool drop_first)
      : TokenStage(next), mark_(Pattern::literal(std::move(mark))), drop_(drop_first) {}

 protected:
  void take(const std::string& token) override {
    give(mark_.replace_all(token, std::exchange(drop_, false) ? "" : " "));
  }

 private:
  Pattern mark_;
  bool drop_;
};

}  // namespace

std::unique_ptr<DecodeStage> make_output_stage(std::string* out) { return std::make_unique<OutputStage>(out); }
std::unique_ptr<DecodeStage> make_byte_level_stage(DecodeStage* next) { return std::make_unique<ByteLevelStage>(next); }
std::unique_ptr<DecodeStage> make_byte_fallback_stage(DecodeStage* next) {
  return std::make_unique<ByteFallbackStage>(next);
}
std::unique_ptr<DecodeStage> make_fuse_stage(DecodeStage* next) { return std::make_unique<FuseStage>(next); }
std::unique_ptr<DecodeStage> make_join_stage(DecodeStage* next) { return std::make_unique<JoinStage>(next); }
std::unique_ptr<DecodeStage> make_replace_stage(DecodeStage* next, Pattern pattern, std::string content) {
  return std::make_unique<ReplaceStage>(next, std::move(pattern), std::move(content));
}
std::unique_ptr<DecodeStage> make_strip_stage(DecodeStage* next, std::string content, int64_t start, int64_t stop) {
  return std::make_unique<StripStage>(next, std::move(content), start, stop);
}
std::unique_ptr<DecodeStage> make_metaspace_stage(DecodeStage* next, std::string mark, bool drop_first) {
  return std::make_unique<MetaspaceStage>(next, std::move(mark), drop_first);
}

}  // namespace quamba2
