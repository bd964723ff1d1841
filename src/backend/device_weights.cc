// SPDX-License-Identifier: Apache-2.0
#include "backend/device_weights.h"

#include <set>

#include "base/check.h"
#include "tensor/operand.h"
#include "tensor/packing.h"

namespace quamba2 {
namespace {

constexpr size_t kAlign = 256;

size_t aligned(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Bytes from the first to the last element.
size_t extent(const TensorView& v) {
  const int64_t bits = bits_of(v.dtype), columns = row_length(v);
  const int64_t row = bits < 8 ? packed_row_bytes(columns, static_cast<int>(bits)) : columns * bits / 8;
  if (bits == 6) return static_cast<size_t>(row_count(v) * row);
  int64_t last = 0;
  for (int i = 0; i + 1 < v.rank; ++i) last += static_cast<int64_t>(v.dim[i] - 1) * v.stride[i];
  return static_cast<size_t>(last * bits / 8 + row);
}

// The weight that the step's kernel wants re-laid, by its index; kNone where it reads the canonical one.
template <class Args>
int32_t prepared_weight(const Plan& plan, const Step& step, const Args& args) {
  if constexpr (requires { args.prepared; }) {
    if (static_cast<const Kernel<Args>*>(step.row)->prepare == nullptr) return kNone;
    return plan.graph.nodes[static_cast<size_t>(step.node)].weights[0];
  }
  return kNone;
}

// Calls f(TensorView&) for the constants of a step whose kernel does not have them re-laid.
template <class Args, class F>
void visit_constants(const Plan& plan, const Step& step, Args& args, F f) {
  Operand held;
  Operand* weight = weight_of(args);
  const bool is_prepared = weight && prepared_weight(plan, step, args) != kNone;
  if (is_prepared) std::swap(held, *weight);
  visit_views(args, [&](TensorView& v) {
    const bool is_memory = plan.edge_memory.contains(v.data) || plan.state_memory.contains(v.data) ||
                           plan.ids.contains(v.data) || plan.selected.contains(v.data);
    if (v.data && !is_memory) f(v);
  });
  if (is_prepared) std::swap(held, *weight);
}

// Blocks of the plan's one block of weights.
struct Cursor {
  Plan* plan;
  size_t used = 0;
  std::map<const void*, void*> constants;  // host to device

  void* take(size_t bytes) {
    QUAMBA2_CHECK(used + bytes <= plan->weights.size(), "constants take more than was counted");
    void* at = static_cast<char*>(plan->weights.data()) + used;
    used += aligned(bytes);
    return at;
  }

  void* constant(const TensorView& v) {
    void*& at = constants[v.data];
    if (!at) {
      at = take(extent(v));
      plan->device->upload(at, v.data, extent(v));
    }
    return at;
  }
};

template <class Args>
void prepare(Cursor* cursor, const Stream& stream, Step* step, Args* args) {
  Plan* plan = cursor->plan;
  const int32_t weight = prepared_weight(*plan, *step, *args);
  if (weight == kNone) return;
  if constexpr (requires { args->prepared; }) {
    const auto* row = static_cast<const Kernel<Args>*>(step->row);
    Prepared& held = plan->prepared[{weight, row}];
    if (held.data == nullptr) {
      held.bytes = row->prepared_bytes(*args);
      held.data = cursor->take(held.bytes);
      const AlignedBuffer relaid(held.bytes);
      row->prepare(*args, relaid.data(), stream);
      plan->device->upload(held.data, relaid.data(), held.bytes);
      plan->weight_bytes += held.bytes;
    }
    args->prepared = held.data;
  }
}

// Kernels read what they have prepared; the canonical weight is not on the device.
template <class Args>
void forget_weight(const Plan& plan, const Step& step, Args* args) {
  Operand* weight = weight_of(*args);
  if (!weight || prepared_weight(plan, step, *args) == kNone) return;
  weight->values.data = weight->scales[0].data = weight->scales[1].data = nullptr;
}

}  // namespace

size_t device_weight_bytes(const Plan& plan) {
  size_t bytes = 0;
  std::set<std::pair<int32_t, const void*>> prepared;
  std::set<const void*> constants;
  for (const Step& step : plan.steps) {
    OpArgs copy = step.args;
    std::visit(
        [&](auto& args) {
          using Args = std::decay_t<decltype(args)>;
          const int32_t weight = prepared_weight(plan, step, args);
          if (weight != kNone && prepared.insert({weight, step.row}).second)
            bytes += aligned(static_cast<const Kernel<Args>*>(step.row)->prepared_bytes(args));
          visit_constants(plan, step, args, [&](TensorView& v) {
            if (constants.insert(v.data).second) bytes += aligned(extent(v));
          });
        },
        copy);
  }
  return bytes;
}

void upload_weights(Plan* plan, const Stream& stream, size_t bytes) {
  plan->weights = Storage(plan->device, bytes);
  Cursor cursor{plan, 0, {}};
  for (Step& step : plan->steps) {
    std::visit(
        [&](auto& args) {
          prepare(&cursor, stream, &step, &args);
          visit_constants(*plan, step, args, [&](TensorView& v) { v.data = cursor.constant(v); });
          forget_weight(*plan, step, &args);
        },
        step.args);
  }
  for (const Weight& w : plan->graph.weights) w.values.release_pages();
}

}  // namespace quamba2
