// SPDX-License-Identifier: Apache-2.0
#include "io/torch_pickle.h"

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "io/file_kind.h"
#include "io/pickle.h"
#include "io/torch_layout.h"
#include "io/zip_archive.h"
#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr uint64_t kMaxPickle = 64u << 20;

// Without an archive around them, checkpoints of PyTorch before 1.6 begin with this pickled number, or are tar files.
bool is_legacy(std::string_view file) {
  constexpr std::string_view kMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
  return (file.size() > 14 && file.substr(2, 12) == kMagic) || (file.size() > 262 && file.substr(257, 5) == "ustar");
}

void refuse_other_files(std::string_view file, const std::string& where) {
  refuse_placeholder(file, where);
  if (is_legacy(file)) {
    throw Error(ErrorCode::kModelFile, "unsupported torch checkpoint", where, "it has the form used before PyTorch 1.6",
                "save it again in Python: torch.save(torch.load(path, map_location=\"cpu\", weights_only=True), path)");
  }
  if (!file.starts_with("PK")) {
    throw Error(ErrorCode::kModelFile, "not a torch checkpoint", where,
                "it is not a zip archive, which torch.save writes",
                "check that the file is complete; a safetensors file must be named .safetensors");
  }
}

class TorchReader {
 public:
  // `map` may be null: everything is copied then.
  TorchReader(std::string_view file, std::string where, std::shared_ptr<MappedFile> map)
      : file_(file), where_(std::move(where)), map_(std::move(map)), archive_(file, where_) {
    copies_left_ = std::max<uint64_t>(64u << 20, file_.size() * 4);
  }

  std::map<std::string, Tensor> read() {
    find_prefix();
    check_byte_order();
    const ZipEntry* entry = archive_.find(prefix_ + "data.pkl");
    const std::string pickle = archive_.read(*entry, kMaxPickle);
    std::map<std::string, Tensor> tensors;
    for (const PickledTensor& tensor : read_state_pickle(pickle, where_))
      tensors.emplace(tensor.name, read_tensor(tensor));
    return tensors;
  }

 private:
  void find_prefix() {
    constexpr std::string_view kName = "data.pkl";
    const ZipEntry* found = nullptr;
    for (const ZipEntry& entry : archive_.entries()) {
      const bool matches = entry.name == kName || entry.name.ends_with("/data.pkl");
      if (matches && found) fail("it holds two pickles, " + printable(found->name) + " and " + printable(entry.name));
      if (matches) found = &entry;
    }
    if (!found) {
      fail("it is a zip archive without data.pkl",
           "check that this is a file of torch.save, not an archive of something else");
    }
    prefix_ = found->name.substr(0, found->name.size() - kName.size());
    if (archive_.find(prefix_ + "constants.pkl")) {
      throw Error(ErrorCode::kModelFile, "unsupported torch checkpoint", where_, "it is a TorchScript program",
                  "load it in Python and save model.state_dict()");
    }
  }

  void check_byte_order() {
    const ZipEntry* entry = archive_.find(prefix_ + "byteorder");
    if (!entry) return;  // older files are little endian
    const std::string order = archive_.read(*entry, 16);
    if (order == "little") return;
    throw Error(ErrorCode::kModelFile, "unsupported torch checkpoint", where_,
                "its byte order is \"" + printable(order) + "\", and only little-endian files are read",
                "save it again on a little-endian machine");
  }

  // The bytes of a storage: in the file, or inflated and kept for the tensors that share them.
  std::string_view storage_of(const PickledTensor& tensor, const std::string& place) {
    const ZipEntry* entry = archive_.find(prefix_ + "data/" + tensor.storage_key);
    if (!entry) fail_tensor(place, "its data, entry " + prefix_ + "data/" + tensor.storage_key + ", is missing");
    const uint64_t needed = storage_bytes(tensor.dtype, {tensor.storage_elements});
    if (entry->bytes < needed) {
      fail_tensor(place, "its storage " + tensor.storage_key + " should have " + std::to_string(needed) +
                             " bytes, but has " + std::to_string(entry->bytes));
    }
    if (entry->method == 0) return archive_.stored(*entry);
    auto found = inflated_.find(tensor.storage_key);
    if (found == inflated_.end())
      found = inflated_.emplace(tensor.storage_key, archive_.read(*entry, entry->bytes)).first;
    return found->second;
  }

  Tensor read_tensor(const PickledTensor& tensor) {
    const std::string place = where_ + ": tensor \"" + printable(tensor.name) + "\"";
    check_layout(tensor, place);
    const std::string_view storage = storage_of(tensor, place);
    const auto element = static_cast<size_t>(bits_of(tensor.dtype) / 8);
    const char* first = storage.data() + static_cast<size_t>(tensor.offset) * element;
    const bool in_file = map_ && storage.data() >= file_.data() && storage.data() <= file_.data() + file_.size();
    const uint64_t bytes = storage_bytes(tensor.dtype, tensor.shape);
    if (in_file && bytes > 0 && is_contiguous(tensor) && reinterpret_cast<uintptr_t>(first) % element == 0) {
      return Tensor::mapped(tensor.dtype, tensor.shape, map_, static_cast<size_t>(first - file_.data()));
    }
    if (bytes > copies_left_) {
      fail_tensor(place, "its " + std::to_string(bytes) +
                             " bytes must be copied, and the tensors of this file together then "
                             "take more than four times its size");
    }
    copies_left_ -= bytes;
    return gather(tensor, reinterpret_cast<const std::byte*>(storage.data()));
  }

  [[noreturn]] void fail_tensor(const std::string& place, const std::string& why) const {
    throw Error(ErrorCode::kModelFile, "invalid torch checkpoint", place, why, "the file is damaged; fetch it again");
  }
  [[noreturn]] void fail(const std::string& why, const char* hint = "the file is damaged; fetch it again") const {
    throw Error(ErrorCode::kModelFile, "invalid torch checkpoint", where_, why, hint);
  }

  std::string_view file_;
  std::string where_;
  std::shared_ptr<MappedFile> map_;
  ZipArchive archive_;
  std::string prefix_;
  std::map<std::string, std::string> inflated_;
  uint64_t copies_left_ = 0;
};

std::map<std::string, Tensor> read(std::string_view file, const std::string& where, std::shared_ptr<MappedFile> map) {
  refuse_other_files(file, where);
  return TorchReader(file, where, std::move(map)).read();
}

}  // namespace

std::map<std::string, Tensor> read_torch_checkpoint(const std::string& path) {
  std::shared_ptr<MappedFile> map = MappedFile::open(path);
  const std::string_view file(reinterpret_cast<const char*>(map->data()), map->size());
  return read(file, path, std::move(map));
}

std::map<std::string, Tensor> read_torch_checkpoint(std::string_view file, const std::string& where) {
  return read(file, where, nullptr);
}

}  // namespace quamba2
