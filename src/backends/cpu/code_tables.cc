// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/code_tables.h"

#include <array>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "quamba2/error.h"

namespace quamba2 {
namespace {

constexpr size_t kMost = 65536;

using Table = std::array<int8_t, 16>;

struct Hash {
  size_t operator()(const Table& table) const {
    uint64_t half[2];
    std::memcpy(half, table.data(), 16);
    const uint64_t mixed = (half[0] ^ (half[1] * 0x9e3779b97f4a7c15ull)) * 0xbf58476d1ce4e5b9ull;
    return mixed ^ (mixed >> 31);
  }
};

struct Registry {
  std::shared_mutex mutex;  // few tables are new
  std::unordered_map<Table, uint16_t, Hash> ids = {{Table{}, uint16_t{0}}};
  std::vector<int8_t> tables = std::vector<int8_t>(16 * kMost);  // never grows: kernels hold its address
};

Registry& registry() {
  static Registry one;
  return one;
}

}  // namespace

uint16_t code_table_id(const int8_t (&table)[16]) {
  Table key;
  std::memcpy(key.data(), table, 16);
  Registry& r = registry();
  {
    const std::shared_lock lock(r.mutex);
    const auto at = r.ids.find(key);
    if (at != r.ids.end()) return at->second;
  }
  const std::unique_lock lock(r.mutex);
  const auto at = r.ids.find(key);
  if (at != r.ids.end()) return at->second;
  if (r.ids.size() == kMost) {
    throw Error(ErrorCode::kResource, "too many tables of codes", "linear", "no more than 65,536 are kept",
                "please report this as a bug: ratios of scales cannot tell that many apart");
  }
  const auto id = static_cast<uint16_t>(r.ids.size());
  std::memcpy(r.tables.data() + 16 * size_t{id}, table, 16);
  r.ids.emplace(key, id);
  return id;
}

const int8_t* code_tables() { return registry().tables.data(); }

}  // namespace quamba2
