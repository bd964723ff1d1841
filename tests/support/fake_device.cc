// SPDX-License-Identifier: Apache-2.0
#include "support/fake_device.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "backend/op_args.h"
#include "backends/cpu/table.h"
#include "base/check.h"
#include "tensor/dtype.h"

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

// The CPU has no kernels of these: the fake runs their references.
template <class Args, void (*reference)(const Args&)>
void launch_reference(const Args& args, const Stream& stream) {
  auto* api = static_cast<FakeDeviceApi*>(stream.device);
  Args checked = args;
  visit_views(checked, [&](TensorView& v) {
    QUAMBA2_CHECK(!v.data || api->owns(v.data), "a kernel is given memory that is not the device's");
  });
  api->launch([args] { reference(args); });
}
template <class Args>
Verdict takes_all(const Args&) {
  return {};
}
constexpr Kernel<ChooseTokenArgs> kChooseToken = {"choose_token_fake", takes_all<ChooseTokenArgs>,
                                                  launch_reference<ChooseTokenArgs, reference_choose_token>};
constexpr Kernel<FollowTokensArgs> kFollowTokens = {"follow_tokens_fake", takes_all<FollowTokensArgs>,
                                                    launch_reference<FollowTokensArgs, reference_follow_tokens>};

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
      {&kChooseToken, 1},
      {&kFollowTokens, 1},
  };
  return table;
}

namespace {

struct Range {
  char* begin;
  size_t bytes;
  bool meets(const Range& o) const { return begin < o.begin + o.bytes && o.begin < begin + bytes; }
};

class FakeProgram : public Program {
 public:
  FakeProgram(ProgramSteps steps, void* stream) : stream_(stream) {
    std::vector<Range> kept, lost;
    for (const ProgramStep& step : steps) {
      steps_.push_back(*step.args);
      std::visit(
          [&](auto& args) {
            visit_outputs(args, [&](Operand& o) {
              const auto elements = static_cast<size_t>(o.values.dim[0]) * static_cast<size_t>(o.values.stride[0]);
              (step.survives ? kept : lost)
                  .push_back(
                      {static_cast<char*>(o.values.data), elements * static_cast<size_t>(bits_of(o.values.dtype)) / 8});
            });
            using Args = std::decay_t<decltype(args)>;
            const Kernel<Args>& row = row_for(args);
            if (row.scratch_bytes) scratch_.resize(std::max(scratch_.size(), row.scratch_bytes(args, 1)));
          },
          steps_.back());
    }
    for (const Range& l : lost) {
      if (std::none_of(kept.begin(), kept.end(), [&](const Range& k) { return k.meets(l); })) spoiled_.push_back(l);
    }
  }

  void run() override {
    const Stream stream = {run_serially, nullptr, 1, scratch_.data(), stream_};
    for (const OpArgs& step : steps_) {
      std::visit([&](const auto& args) { row_for(args).run(args, stream); }, step);
    }
    static_cast<FakeDeviceApi*>(stream_)->launch([spoiled = spoiled_] {
      for (const Range& r : spoiled) std::memset(r.begin, 0xa5, r.bytes);
    });
  }

 private:
  template <class Args>
  static const Kernel<Args>& row_for(const Args& args) {
    const KernelRows<Args> rows = rows_of(fake_table(), args);
    const Kernel<Args>* found =
        std::find_if(rows.rows, rows.rows + rows.count, [&](const auto& row) { return !row.supports(args).refusal; });
    QUAMBA2_CHECK(found != rows.rows + rows.count, "a step has no kernel");
    return *found;
  }

  void* stream_;
  std::vector<OpArgs> steps_;
  std::vector<Range> spoiled_;
  std::vector<char> scratch_;
};

}  // namespace

std::unique_ptr<Program> fake_program(ProgramSteps steps, Device&, const DeviceSpec&, void* stream) {
  return std::make_unique<FakeProgram>(steps, stream);
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
  recording_ ? recorded_.push_back(std::move(work)) : put(kernels_, std::move(work));
}

void FakeDeviceApi::put(Queue& queue, std::function<void()> work) {
  if (queue.done == queue.work.size()) queue.work.clear(), queue.done = 0;
  queue.work.push_back(std::move(work));
}

// Runs no more than it must: what is read too early shows. All of it where nothing is waited for.
void FakeDeviceApi::run_until(Queue& queue, const bool* happened) {
  while ((!happened || !*happened) && queue.done < queue.work.size()) {
    const std::function<void()> next = std::move(queue.work[queue.done++]);
    next();
  }
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

DeviceApi::Status FakeDeviceApi::create_side_stream(void** stream) {
  if (const Status status = result("create_side_stream")) return status;
  auto made = std::make_unique<Queue>();
  *stream = made.get();
  side_.emplace(made.get(), std::move(made));
  return 0;
}

void FakeDeviceApi::destroy_stream(void* stream) { side_.erase(stream); }

DeviceApi::Status FakeDeviceApi::move(const std::string& call, void* to, const void* from, size_t bytes, void* stream) {
  QUAMBA2_CHECK(!recording_, "a copy is recorded");
  if (const Status status = result(call)) return status;
  put(queue_of(stream), [=] { std::memcpy(to, from, bytes); });
  return 0;
}

DeviceApi::Status FakeDeviceApi::copy_to_device(void* to, const void* from, size_t bytes, void* stream) {
  QUAMBA2_CHECK(owns(to), "a copy to the device goes elsewhere");
  return move("copy_to_device", to, from, bytes, stream);
}
DeviceApi::Status FakeDeviceApi::copy_to_host(void* to, const void* from, size_t bytes, void* stream) {
  QUAMBA2_CHECK(owns(from), "a copy from the device comes from elsewhere");
  return move("copy_to_host", to, from, bytes, stream);
}
DeviceApi::Status FakeDeviceApi::copy(void* to, const void* from, size_t bytes, void* stream) {
  QUAMBA2_CHECK(owns(to) && owns(from), "a copy inside the device leaves it");
  return move("copy", to, from, bytes, stream);
}

DeviceApi::Status FakeDeviceApi::zero(void* memory, size_t bytes, void*) {
  QUAMBA2_CHECK(owns(memory) && !recording_, "memory that is not the device's is cleared");
  if (const Status status = result("zero")) return status;
  launch([=] { std::memset(memory, 0, bytes); });
  return 0;
}

DeviceApi::Status FakeDeviceApi::synchronize(void* stream) {
  run_until(queue_of(stream), nullptr);
  return result("synchronize");
}

DeviceApi::Status FakeDeviceApi::create_event(void** event) {
  if (const Status status = result("create_event")) return status;
  auto made = std::make_shared<Event>();
  *event = made.get();
  events_.emplace(made.get(), std::move(made));
  return 0;
}

void FakeDeviceApi::destroy_event(void* event) { events_.erase(event); }

DeviceApi::Status FakeDeviceApi::record_event(void* event, void* stream) {
  QUAMBA2_CHECK(!recording_, "an event is recorded into a recording");
  // Waits that are in streams already are for what was recorded before: each recording is an event of its own.
  auto& known = events_.at(event);
  known = std::make_shared<Event>(Event{false, &queue_of(stream)});
  put(queue_of(stream), [recorded = known] { recorded->happened = true; });
  return result("record_event");
}

DeviceApi::Status FakeDeviceApi::wait_for_event(void* event) {
  const std::shared_ptr<Event> known = events_.at(event);
  if (!known->happened) run_until(*known->of, &known->happened);
  return result("wait_for_event");
}

DeviceApi::Status FakeDeviceApi::stream_waits(void* stream, void* event) {
  const std::shared_ptr<Event> known = events_.at(event);
  put(queue_of(stream), [known] {
    if (!known->happened) run_until(*known->of, &known->happened);
  });
  return result("stream_waits");
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
  for (const auto& step : work) put(kernels_, step);
  return result("replay");
}

void FakeDeviceApi::release_recording(void* recording) { recordings_.erase(recording); }

}  // namespace quamba2::testing
