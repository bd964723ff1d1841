// SPDX-License-Identifier: Apache-2.0
#include "text/stream_decoder.h"

#include <utility>

#include "text/text_decoder.h"
#include "text/tokenizer.h"

namespace quamba2 {

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special), decoder_(tokenizer_->new_decoder(skip_special)) {}

StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::push(int32_t id) {
  std::string out;
  decoder_->push(id, &out);
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  decoder_->finish(&out);
  decoder_ = tokenizer_->new_decoder(skip_special_);
  return out;
}

}  // namespace quamba2
