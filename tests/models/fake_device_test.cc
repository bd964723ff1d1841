// SPDX-License-Identifier: Apache-2.0
// The host side of the CUDA back end on a fake device: planning, copies, recordings, errors. Its kernels are the CPU's, so
// models must give the CPU's bits.
#include "support/fake_device.h"

#include "api/load_model.h"
#include "backends/cuda/cuda_backend.h"
#include "quamba2/engine.h"
#include "quamba2/error.h"
#include "quant/pipeline.h"
#include "quant/recipe.h"
#include "support/model_runs.h"
#include "support/paths.h"

namespace quamba2::testing {
namespace {

const KernelTable& choose_fake(const DeviceSpec&) { return fake_table(); }

ModelData small_model(const std::string& recipe = "") {
  const ModelData source = load_model(source_path("tests/golden/mamba2-hf"));
  if (recipe.empty()) return source;
  Calibration calibration(make_cpu_backend(1), {random_ids(64, source.vocab_size, 1)});
  return assemble(run_recipe(find_recipe(recipe).make({}, source), source, &calibration, {}), source.config,
                  source.directory);
}

// What an error says, and its code.
std::string error_of(const std::function<void()>& run, ErrorCode code) {
  try {
    run();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

void expect_says(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(FakeDevice, ModelsGiveTheBitsOfTheCpu) {
  for (const char* recipe : {"", "w4a16", "w8a8", "w4a8"}) {
    const ModelData m = small_model(recipe);
    FakeDeviceApi api;
    const std::vector<float> got = run_model(m, make_cuda_backend(api, 0, choose_fake));
    EXPECT_EQ(got, run_model(m, make_cpu_backend(1, cpu_table("scalar")))) << recipe;
    // 8 single steps: the first walks, the second records, and from then on recordings are replayed, body and head.
    EXPECT_EQ(api.calls["begin_recording"], 2) << recipe;
    EXPECT_EQ(api.calls["replay"], 14) << recipe;
    EXPECT_EQ(api.live_blocks(), 0u) << recipe << ": not all was given back";
  }
}

// A back end that compiles lists of steps is given them instead of recordings, for shapes that come a second time.
TEST(FakeDevice, ProgramsGiveTheBitsOfTheCpu) {
  for (const char* recipe : {"", "w4a8"}) {
    const ModelData m = small_model(recipe);
    FakeDeviceApi api;
    const std::vector<float> got = run_model(m, make_cuda_backend(api, 0, choose_fake, fake_program));
    EXPECT_EQ(got, run_model(m, make_cpu_backend(1, cpu_table("scalar")))) << recipe;
    EXPECT_EQ(api.calls["begin_recording"], 0) << recipe;
    EXPECT_EQ(api.calls["replay"], 0) << recipe;
    EXPECT_EQ(api.live_blocks(), 0u) << recipe << ": not all was given back";
  }
}

TEST(FakeDevice, StatesAreSavedAndRestored) {
  const ModelData m = small_model();
  FakeDeviceApi api;
  Executor executor(m.graph, make_cuda_backend(api, 0, choose_fake), {.max_tokens = 64, .max_sequences = 2});
  const std::vector<int32_t> ids = random_ids(20, m.vocab_size, 5);
  const Segment first{0, 15, 0}, rest{0, 5, 0}, moved{0, 5, 1};
  const int32_t last = 4;
  const auto logits = [&] {
    const float* row = executor.logits({&last, 1});
    return std::vector<float>(row, row + executor.table_rows());
  };
  executor.run({ids.data(), 15}, {&first, 1});
  const std::vector<std::byte> saved = executor.save_state(0);
  executor.run({ids.data() + 15, 5}, {&rest, 1});
  const std::vector<float> went_on = logits();
  executor.load_state(1, saved);
  executor.run({ids.data() + 15, 5}, {&moved, 1});
  EXPECT_EQ(logits(), went_on);
  executor.reset_state(1);
  for (const std::byte b : executor.save_state(1)) ASSERT_EQ(b, std::byte{0});
}

// Kept states come while calls go on: the device is as late with them as it may be.
TEST(FakeDevice, KeptStatesAreThoseOfTheirTime) {
  const ModelData m = small_model("w8a8");
  FakeDeviceApi api;
  {
    Executor executor(m.graph, make_cuda_backend(api, 0, choose_fake), {.max_tokens = 64, .max_sequences = 3});
    const std::vector<int32_t> ids = random_ids(60, m.vocab_size, 5);
    std::vector<std::shared_ptr<const KeptState>> kept;
    std::vector<std::vector<std::byte>> saved;
    const auto as_bytes = [](std::span<const std::byte> b) { return std::vector<std::byte>(b.begin(), b.end()); };
    for (int32_t round = 0; round < 6; ++round) {
      const Segment segment{0, 5, 0};
      executor.run({ids.data() + 5 * round, 5}, {&segment, 1});
      kept.push_back(executor.keep_state(0));
      if (round == 3) kept[1] = nullptr;  // its memory is taken for the next one
      EXPECT_EQ(kept.back()->size(), executor.state_bytes());
      if (round % 2 == 1) executor.load_state(1 + round % 2, *kept[static_cast<size_t>(round) - 1]);
    }
    executor.reset_state(0);
    for (int32_t round = 0; round < 6; ++round) {
      const Segment segment{0, 5, 0};
      executor.run({ids.data() + 5 * round, 5}, {&segment, 1});
      saved.push_back(executor.save_state(0));
    }
    for (size_t i : {0, 2, 3, 4, 5}) {
      executor.load_state(2, *kept[i]);
      EXPECT_EQ(executor.save_state(2), saved[i]) << i;
      EXPECT_EQ(as_bytes(kept[i]->bytes()), saved[i]) << i;
    }
    // Without memory to lock, calls wait for the copy.
    api.failing = "allocate_pinned", api.failing_at = 1, api.failing_with = FakeDeviceApi::kFailed;
    const std::shared_ptr<const KeptState> waited = executor.keep_state(0);
    EXPECT_EQ(api.failing_at, 0);
    EXPECT_EQ(waited->block(), nullptr);
    EXPECT_EQ(as_bytes(waited->bytes()), saved.back());
    kept.front() = nullptr;  // to be taken, where there is one
    EXPECT_NE(executor.keep_state(0)->block(), nullptr);
  }
  EXPECT_EQ(api.live_blocks(), 0u) << "not all was given back";
}

TEST(FakeDevice, TapsSeeNumbersInThisProcess) {
  const ModelData m = small_model();
  std::map<std::string, std::vector<double>> seen[2];
  FakeDeviceApi api;
  const std::shared_ptr<Backend> backends[] = {make_cuda_backend(api, 0, choose_fake),
                                               make_cpu_backend(1, cpu_table("scalar"))};
  for (int i = 0; i < 2; ++i) {
    Executor executor(m.graph, backends[i], {.max_tokens = 8, .keep_edges = true});
    executor.set_tap([&](const Edge& edge, const Operand& values) { seen[i][edge.name] = decode(values); });
    const Segment all{0, 8, 0};
    executor.run(random_ids(8, m.vocab_size, 3), {&all, 1});
  }
  EXPECT_GT(seen[0].size(), 10u);
  EXPECT_EQ(seen[0], seen[1]);
}

TEST(FakeDevice, MemoryIsToldBeforeItIsTaken) {
  const ModelData m = small_model();
  FakeDeviceApi api;
  const auto backend = make_cuda_backend(api, 0, choose_fake);
  api.total_bytes = 100000;
  const std::string text = error_of([&] { Executor(m.graph, backend, {}); }, ErrorCode::kResource);
  expect_says(text, "are needed (weights ");
  expect_says(text, "0.00 GB are free");
  EXPECT_EQ(api.calls["allocate"], 0);
}

// Scratch is part of what is told: with room for all but a part of it nothing is taken.
TEST(FakeDevice, ScratchIsToldToo) {
  const ModelData m = small_model("w8a8");
  FakeDeviceApi api;
  const auto backend = make_cuda_backend(api, 0, choose_fake);
  const size_t before = api.used_bytes();
  size_t needed = 0, scratch = 0;
  {
    const Executor executor(m.graph, backend, {.max_tokens = 4096});
    scratch = executor.plan().scratch.size();
    needed = api.used_bytes() - before;
  }
  ASSERT_GT(scratch, needed / 100) << "too little to tell";
  const int taken = api.calls["allocate"];
  api.total_bytes = before + needed - scratch / 2;
  error_of([&] { Executor(m.graph, backend, {.max_tokens = 4096}); }, ErrorCode::kResource);
  EXPECT_EQ(api.calls["allocate"], taken);
}

TEST(FakeDevice, CallsAreLongerThanOnTheCpu) {
  FakeDeviceApi api;
  EXPECT_EQ(make_cuda_backend(api, 0, choose_fake)->usual_tokens(), 2048);
  EXPECT_EQ(make_cpu_backend(1)->usual_tokens(), 512);
  const Engine engine = Engine::load(source_path("tests/golden/mamba2-hf"));
  EXPECT_EQ(engine.max_tokens(), 512);
}

TEST(FakeDevice, MemoryThatIsGoneInTheMiddleIsGivenBack) {
  const ModelData m = small_model();
  for (int at = 1; at <= 6; ++at) {
    FakeDeviceApi api;
    const auto backend = make_cuda_backend(api, 0, choose_fake);
    api.failing = "allocate", api.failing_at = at;
    error_of([&] { Executor(m.graph, backend, {}); }, ErrorCode::kResource);
    EXPECT_EQ(api.used_bytes(), 0u) << at;
  }
}

TEST(FakeDevice, DevicesThatCannotBeUsedAreRefused) {
  FakeDeviceApi none, absent, one;
  none.failing = "count", none.failing_at = 1, none.failing_with = FakeDeviceApi::kNoDriver;
  const auto open = [](FakeDeviceApi& api, int index) {
    return error_of([&] { make_cuda_backend(api, index, choose_fake); }, ErrorCode::kResource);
  };
  expect_says(open(none, 0), "there is no driver");
  absent.devices = 0;
  expect_says(open(absent, 0), "shows no GPU");
  expect_says(open(one, 3), "there is 1 GPU, cuda:0");
  FakeDeviceApi pinned;
  pinned.failing = "allocate_pinned", pinned.failing_at = 1;
  error_of([&] { make_cuda_backend(pinned, 0, choose_fake); }, ErrorCode::kRuntime);
}

TEST(FakeDevice, FailuresInMidGenerationSayWhatHappened) {
  const ModelData m = small_model();
  const auto run = [&](const char* call, DeviceApi::Status status, ErrorCode code) {
    FakeDeviceApi api;
    Executor executor(m.graph, make_cuda_backend(api, 0, choose_fake), {.max_tokens = 8});
    const Segment one{0, 1, 0};
    const int32_t id = 1, row = 0;
    executor.run({&id, 1}, {&one, 1});
    executor.logits({&row, 1});
    api.failing = call, api.failing_at = 1, api.failing_with = status;
    return error_of(
        [&] {
          executor.run({&id, 1}, {&one, 1});
          executor.logits({&row, 1});
        },
        code);
  };
  expect_says(run("synchronize", FakeDeviceApi::kLost, ErrorCode::kResource), "the GPU was lost (cuda:0)");
  expect_says(run("last_launch", FakeDeviceApi::kFailed, ErrorCode::kRuntime), "starting embed_scalar");
  expect_says(run("replay", FakeDeviceApi::kLost, ErrorCode::kResource), "fell off the bus");
  expect_says(run("copy_to_host", FakeDeviceApi::kFailed, ErrorCode::kRuntime), "copying from it");
}

}  // namespace
}  // namespace quamba2::testing
