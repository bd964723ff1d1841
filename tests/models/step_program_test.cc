// SPDX-License-Identifier: Apache-2.0
// Which models decode in few kernels a layer (backends/cuda/step_compile.h). Compiling needs no GPU: plans are made on a fake
// device that says it is an H100, and the kernels that are launched meanwhile come to nothing.
#include "backends/cuda/cuda_backend.h"
#include "backends/cuda/step_compile.h"
#include "backends/cuda/table.h"
#include "support/fake_device.h"
#include "support/shape_model.h"

namespace quamba2::testing {
namespace {

struct AnH100 : FakeDeviceApi {
  Status describe(int, DeviceSpec* spec) override {
    *spec = {"H100", 90, 132, 227 * 1024, total_bytes, size_t{50} << 20};
    return 0;
  }
};

int asked, made;

// A program that does nothing: there is no GPU to run it.
struct Nothing : Program {
  void run() override {}
};

std::unique_ptr<Program> count_compiled(ProgramSteps steps, Device& device, const DeviceSpec& spec, void* stream) {
  ++asked;
  if (!compile_step_program(steps, device, spec, stream)) return nullptr;
  ++made;
  return std::make_unique<Nothing>();
}

// Lists of steps that were compiled while a model decoded `sequences` tokens at once.
int count_made(const ModelData& m, int32_t sequences) {
  asked = made = 0;
  AnH100 api;
  const auto choose = [](const DeviceSpec&) -> const KernelTable& { return cuda_table(90); };
  Executor executor(m.graph, make_cuda_backend(api, 0, choose, count_compiled), {.max_tokens = 8, .max_sequences = 2});
  std::vector<Segment> segments;
  std::vector<int32_t> rows;
  for (int32_t i = 0; i < sequences; ++i) segments.push_back({i, 1, i}), rows.push_back(i);
  for (int call = 0; call < 3; ++call) {
    executor.run(random_ids(sequences, m.vocab_size, 1), segments);
    executor.logits(rows);
  }
  EXPECT_GE(asked, 2);
  return made;
}

TEST(StepProgram, TakesTheBodyOfMamba1WithCodesOf8Bits) {
  for (const char* recipe : {"w4a8", "w8a8"}) {
    for (const bool f16_state : {true, false}) {
      RecipeOptions options;
      options.ingredients.f16_state = f16_state;
      EXPECT_EQ(count_made(shape_model("mamba-130m", recipe, options), 1), 1) << recipe << " " << f16_state;
    }
  }
}

TEST(StepProgram, LeavesOtherLists) {
  EXPECT_EQ(count_made(shape_model("mamba-130m", "w4a8"), 2), 0) << "two sequences";
  EXPECT_EQ(count_made(shape_model("mamba-130m", "w4a16"), 1), 0) << "float activations";
  EXPECT_EQ(count_made(shape_model("mamba2-130m", "w4a8"), 1), 0) << "Mamba2";
}

}  // namespace
}  // namespace quamba2::testing
