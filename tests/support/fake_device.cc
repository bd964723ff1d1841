// SPDX-License-Identifier: Apache-2.0
#include "support/fake_device.h"

#include <array>
#include <cstring>
#include <utility>

#include "backend/op_args.h"
#include "backends/cpu/table.h"
#include "base/check.h"

namespace quamba2::testing {
namespace {

void run_serially(void*, void (*task)(void*, int), void* context) { task(context, 0); }

constexpr int kMostRows = 16;

template <class Args>
KernelRows<Args> scalar_rows() {
  return rows_of(cpu_table("scalar"), Args{});
}

template <class Args, int kRow>
void launch_row(const Args& args, const Stream& stream) {
  auto* api = static_cast<FakeDeviceApi*>(stream.device);
  Args checked = args;
  visit_views(checked, [&](TensorView& v) {
    QUAMBA2_CHECK(!v.data || api->owns(v.data), "a kernel is given memory that is not the device's");
  });
  api->launch([args, scratch = stream.scratch] {
    scalar_rows<Args>().rows[kRow].run(args, {run_serially, nullptr, 1, scratch});
  });
}

// Rows of one operation, kept for ever.
template <class Args>
KernelRows<Args> fake_rows() {
  static const std::vector<Kernel<Args>> rows = []<int... i>(std::integer_sequence<int, i...>) {
    constexpr std::array<void (*)(const Args&, const Stream&), sizeof...(i)> runs = {launch_row<Args, i>...};
    const KernelRows<Args> scalar = scalar_rows<Args>();
    QUAMBA2_CHECK(scalar.count <= kMostRows, "more rows than the fake has");
    std::vector<Kernel<Args>> made(scalar.rows, scalar.rows + scalar.count);
    for (size_t r = 0; r < made.size(); ++r) {
      made[r].run = runs[r];
      made[r].read_row = nullptr;
    }
    return made;
  }(std::make_integer_sequence<int, kMostRows>{});
  return {rows.data(), static_cast<int32_t>(rows.size())};
}

}  // namespace

const KernelTable& fake_table() {
  static const KernelTable table = {
      "fake",
      fake_rows<EmbedArgs>(),
      fake_rows<SelectRowsArgs>(),
      fake_rows<RmsNormArgs>(),
      fake_rows<LayerNormArgs>(),
      fake_rows<LinearArgs>(),
      fake_rows<CausalConv1dArgs>(),
      fake_rows<SelectiveScanArgs>(),
      fake_rows<SsdScanArgs>(),
      fake_rows<GateArgs>(),
      fake_rows<GatedRmsNormArgs>(),
      fake_rows<HadamardArgs>(),
      fake_rows<AddArgs>(),
      fake_rows<ConvertArgs>(),
  };
  return table;
}

DeviceApi::Status FakeDeviceApi::result(const std::string& call) {
  ++calls[call];
  return call == failing && failing_at > 0 && --failing_at == 0 ? failing_with : 0;
}

size_t FakeDeviceApi::used_bytes() const {
  size_t used = 0;
  for (const auto& [at, block] : blocks_) used += block.size();
  return used;
}

bool FakeDeviceApi::owns(const void* address) const {
  const auto* p = static_cast<const char*>(address);
  auto after = blocks_.upper_bound(p);
  if (after == blocks_.begin()) return false;
  --after;
  return p < after->first + after->second.size();
}

void FakeDeviceApi::launch(std::function<void()> work) {
  (recording_ ? recorded_ : waiting_).push_back(std::move(work));
}

std::string FakeDeviceApi::text_of(Status status) const {
  return status == kLost ? "the device fell off the bus" : status == kNoDriver ? "there is no driver" : "it failed";
}

DeviceApi::Status FakeDeviceApi::count(int* found) {
  *found = devices;
  return result("count");
}

DeviceApi::Status FakeDeviceApi::describe(int, DeviceSpec* spec) {
  *spec = {"Fake", 90, 1, 0, total_bytes, 0};
  return result("describe");
}

DeviceApi::Status FakeDeviceApi::select(int) { return result("select"); }

DeviceApi::Status FakeDeviceApi::memory(size_t* available, size_t* total) {
  *total = total_bytes;
  *available = total_bytes - used_bytes();
  return result("memory");
}

DeviceApi::Status FakeDeviceApi::allocate(void** memory, size_t bytes) {
  if (const Status status = result("allocate")) return status;
  std::vector<char> block(bytes, '\xa5');
  *memory = block.data();
  blocks_.emplace(block.data(), std::move(block));
  return 0;
}

void FakeDeviceApi::release(void* memory) {
  QUAMBA2_CHECK(blocks_.erase(static_cast<const char*>(memory)) == 1, "memory that is not the device's is released");
}

DeviceApi::Status FakeDeviceApi::allocate_pinned(void** memory, size_t bytes) {
  if (const Status status = result("allocate_pinned")) return status;
  std::vector<char> block(bytes, '\xa5');
  *memory = block.data();
  pinned_.emplace(block.data(), std::move(block));
  return 0;
}

void FakeDeviceApi::release_pinned(void* memory) { pinned_.erase(static_cast<const char*>(memory)); }

DeviceApi::Status FakeDeviceApi::create_stream(void** stream) {
  *stream = this;
  return result("create_stream");
}

DeviceApi::Status FakeDeviceApi::move(const std::string& call, void* to, const void* from, size_t bytes) {
  QUAMBA2_CHECK(!recording_, "a copy is recorded");
  if (const Status status = result(call)) return status;
  launch([=] { std::memcpy(to, from, bytes); });
  return 0;
}

DeviceApi::Status FakeDeviceApi::copy_to_device(void* to, const void* from, size_t bytes, void*) {
  QUAMBA2_CHECK(owns(to), "a copy to the device goes elsewhere");
  return move("copy_to_device", to, from, bytes);
}
DeviceApi::Status FakeDeviceApi::copy_to_host(void* to, const void* from, size_t bytes, void*) {
  QUAMBA2_CHECK(owns(from), "a copy from the device comes from elsewhere");
  return move("copy_to_host", to, from, bytes);
}
DeviceApi::Status FakeDeviceApi::copy(void* to, const void* from, size_t bytes, void*) {
  QUAMBA2_CHECK(owns(to) && owns(from), "a copy inside the device leaves it");
  return move("copy", to, from, bytes);
}

DeviceApi::Status FakeDeviceApi::zero(void* memory, size_t bytes, void*) {
  QUAMBA2_CHECK(owns(memory) && !recording_, "memory that is not the device's is cleared");
  if (const Status status = result("zero")) return status;
  launch([=] { std::memset(memory, 0, bytes); });
  return 0;
}

DeviceApi::Status FakeDeviceApi::synchronize(void*) {
  for (const auto& work : waiting_) work();
  waiting_.clear();
  return result("synchronize");
}

DeviceApi::Status FakeDeviceApi::last_launch() { return result("last_launch"); }

DeviceApi::Status FakeDeviceApi::begin_recording(void*) {
  recording_ = true;
  return result("begin_recording");
}

DeviceApi::Status FakeDeviceApi::end_recording(void*, void** recording) {
  recording_ = false;
  auto made = std::make_unique<Work>(std::move(recorded_));
  recorded_.clear();
  *recording = made.get();
  recordings_.emplace(made.get(), std::move(made));
  return result("end_recording");
}

DeviceApi::Status FakeDeviceApi::replay(void* recording, void*) {
  const Work& work = *recordings_.at(recording);
  waiting_.insert(waiting_.end(), work.begin(), work.end());
  return result("replay");
}

void FakeDeviceApi::release_recording(void* recording) { recordings_.erase(recording); }

}  // namespace quamba2::testing
