// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/cpu_backend.h"

#include "backends/cpu/table.h"
#include "base/cpu_features.h"
#include "base/thread_pool.h"

namespace quamba2 {
namespace {

class CpuBackend : public Backend {
 public:
  CpuBackend(int threads, const KernelTable& table)
      : pool_(std::make_unique<ThreadPool>(threads > 0 ? threads : available_threads())), table_(table) {}

  const KernelTable& table() const override { return table_; }
  Stream stream() const override {
    const auto parallel = [](void* pool, void (*task)(void*, int), void* context) {
      static_cast<ThreadPool*>(pool)->run(task, context);
    };
    return {parallel, pool_.get(), pool_->threads(), nullptr};
  }
  std::string description() const override {
    return "CPU " + std::string(table_.name) + ", " + std::to_string(pool_->threads()) + " threads (" +
           cpu_features().name + ")";
  }

 private:
  std::unique_ptr<ThreadPool> pool_;
  const KernelTable& table_;
};

}  // namespace

std::shared_ptr<Backend> make_cpu_backend(int threads) { return make_cpu_backend(threads, cpu_table()); }

std::shared_ptr<Backend> make_cpu_backend(int threads, const KernelTable& table) {
  return std::make_shared<CpuBackend>(threads, table);
}

}  // namespace quamba2
