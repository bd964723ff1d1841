// SPDX-License-Identifier: Apache-2.0
#include "quant/device_rows.h"

#include <algorithm>
#include <numeric>

#include "quant/code_book.h"
#include "quant/encode.h"
#include "quant/for_rows.h"

namespace quamba2 {
namespace {

// Weights of the rows that are in memory at a time, and numbers of their normal equations.
constexpr int64_t kNumbers = int64_t{1} << 25, kEquations = int64_t{1} << 25;
constexpr int kSweeps = 2;

float* floats(const Storage& s) { return static_cast<float*>(s.data()); }
double* doubles(const Storage& s) { return static_cast<double*>(s.data()); }

int64_t groups_of(int64_t columns, const Format& format) {
  const int64_t group = group_size(format, columns);
  return (columns + group - 1) / group;
}

}  // namespace

int64_t DeviceRows::rows_at_a_time(int64_t rows, int64_t columns, const Format& format) {
  const int64_t groups = groups_of(columns, format);
  const int64_t most =
      std::min(kNumbers / std::max<int64_t>(columns, 1), kEquations / std::max<int64_t>(groups * groups, 1));
  return std::clamp<int64_t>(most, 1, std::max<int64_t>(rows, 1));
}

size_t DeviceRows::bytes(int64_t rows, int64_t columns, const Format& format, bool gptq) {
  const int64_t groups = groups_of(columns, format);
  const int64_t plain = 13 * columns + 4 * groups + 4;
  const int64_t more = 20 * columns + 4 * groups + 4 + 4 * kRoundingBlock + 8 * groups * (groups + 1) + 16;
  return static_cast<size_t>(rows * (gptq ? plain + more : plain));
}

Storage DeviceRows::room(int64_t numbers) const {
  return Storage(&device_, static_cast<size_t>(numbers) * sizeof(float));
}

DeviceRows::DeviceRows(const Backend& backend, int64_t rows, int64_t columns, const Format& format, bool gptq)
    : backend_(backend),
      device_(*backend.device()),
      kernels_(*backend.rounding()),
      stream_(backend.stream()),
      columns_(columns),
      group_(group_size(format, columns)),
      groups_(groups_of(columns, format)),
      format_(format) {
  const int64_t numbers = rows * columns;
  for (Storage* s : {&w_, &codes_, &q_}) *s = room(numbers);
  scales_ = room(rows * groups_), row_scales_ = room(rows);
  bytes_ = Storage(&device_, static_cast<size_t>(numbers));
  rows_ = {rows,       columns,        group_,     groups_,         format,
           floats(w_), floats(codes_), floats(q_), floats(scales_), floats(row_scales_)};
  if (!gptq) return;
  for (Storage* s : {&kept_codes_, &kept_q_, &left_, &gradient_, &wanted_}) *s = room(numbers);
  kept_scales_ = room(rows * groups_), kept_row_scales_ = room(rows);
  block_ = room(rows * kRoundingBlock);
  a_ = room(2 * rows * groups_ * groups_), b_ = room(2 * rows * groups_);
  losses_ = room(2 * rows), best_ = room(2 * rows);
  kept_ = rows_;
  kept_.codes = floats(kept_codes_), kept_.q = floats(kept_q_);
  kept_.scales = floats(kept_scales_), kept_.row_scales = floats(kept_row_scales_);
}

void DeviceRows::load(const float* w, int64_t rows) {
  rows_.rows = kept_.rows = rows;
  device_.upload(w_.data(), w, static_cast<size_t>(rows * columns_) * sizeof(float));
}

void DeviceRows::choose_scales(ScaleChoice choice) {
  kernels_.choose_scales(rows_, choice == ScaleChoice::kLeastSquares, stream_);
  device_.check_launch("the choice of scales");
}

void DeviceRows::round_nearest() { kernels_.round_nearest(rows_, stream_); }

std::vector<double> DeviceRows::taken_losses() const {
  std::vector<double> out(static_cast<size_t>(rows_.rows));
  device_.download(out.data(), losses_.data(), out.size() * sizeof(double));
  return out;
}

// (w - q) h
void DeviceRows::find_gradient(const DeviceFactor& factor) {
  kernels_.residual(rows_, floats(left_), stream_);
  kernels_.multiply({rows_.rows, columns_, columns_, floats(left_), floats(factor.h), floats(gradient_), columns_,
                     columns_, columns_, false},
                    stream_);
}

void DeviceRows::find_losses(const DeviceFactor& factor) {
  find_gradient(factor);
  kernels_.losses(rows_, floats(gradient_), doubles(losses_), stream_);
}

double DeviceRows::zero_loss(const DeviceFactor& factor) {
  device_.zero(q_.data(), q_.size());
  find_losses(factor);
  device_.copy(wanted_.data(), gradient_.data(), static_cast<size_t>(rows_.rows * columns_) * sizeof(float));
  const std::vector<double> losses = taken_losses();
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

double DeviceRows::loss(const DeviceFactor& factor) {
  find_losses(factor);
  const std::vector<double> losses = taken_losses();
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

void DeviceRows::gptq_round(const DeviceFactor& factor) {
  const auto* order = static_cast<const int32_t*>(factor.order.data());
  kernels_.order_columns(rows_, order, floats(left_), stream_);
  for (int64_t begin = 0; begin < columns_; begin += kRoundingBlock) {
    const int64_t end = std::min(columns_, begin + kRoundingBlock);
    kernels_.round_block({rows_, begin, end, order, floats(factor.l), floats(left_), floats(block_)}, stream_);
    kernels_.multiply(
        {rows_.rows, columns_ - end, end - begin, floats(block_), floats(factor.l) + end * columns_ + begin,
         floats(left_) + end, kRoundingBlock, columns_, columns_, true},
        stream_);
  }
  device_.check_launch("GPTQ");
}

// Group after group: the codes of one by h, in the columns of this group and those before it.
void DeviceRows::fit_scales(const DeviceFactor& factor) {
  NormalArgs args{rows_, 0, floats(left_), floats(wanted_), doubles(a_), doubles(b_)};
  for (args.index = 0; args.index < groups_; ++args.index) {
    const int64_t begin = args.index * group_, end = std::min(columns_, begin + group_);
    kernels_.multiply({rows_.rows, end, end - begin, rows_.codes + begin, floats(factor.h) + begin, floats(left_),
                       columns_, columns_, columns_, false},
                      stream_);
    kernels_.normal_row(args, stream_);
  }
  kernels_.fit_scales(args, stream_);
}

void DeviceRows::descend(const DeviceFactor& factor) {
  find_gradient(factor);
  const float* h = floats(factor.h);
  float* gradient = floats(gradient_);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (int64_t begin = 0; begin < columns_; begin += kRoundingBlock) {
      const int64_t end = std::min(columns_, begin + kRoundingBlock);
      kernels_.descend_block({rows_, begin, end, h, gradient, floats(block_)}, stream_);
      // h is symmetric: its columns [begin, end) are what these rows of it would be.
      ProductArgs product{rows_.rows, begin,          end - begin, floats(block_), h + begin,
                          gradient,   kRoundingBlock, columns_,    columns_,       true};
      kernels_.multiply(product, stream_);
      product.n = columns_ - end, product.b = h + end * columns_ + begin, product.c = gradient + end;
      kernels_.multiply(product, stream_);
    }
  }
  device_.check_launch("coordinate descent");
}

void DeviceRows::keep_rows() {
  const auto numbers = static_cast<size_t>(rows_.rows * columns_) * sizeof(float);
  device_.copy(kept_codes_.data(), codes_.data(), numbers);
  device_.copy(kept_q_.data(), q_.data(), numbers);
  device_.copy(kept_scales_.data(), scales_.data(), static_cast<size_t>(rows_.rows * groups_) * sizeof(float));
  device_.copy(kept_row_scales_.data(), row_scales_.data(), static_cast<size_t>(rows_.rows) * sizeof(float));
  device_.copy(best_.data(), losses_.data(), static_cast<size_t>(rows_.rows) * sizeof(double));
}

double DeviceRows::refine(const DeviceFactor& factor, int rounds) {
  find_losses(factor);
  if (rounds > 0) keep_rows();
  for (int round = 0; round < rounds; ++round) {
    fit_scales(factor);
    descend(factor);
    find_losses(factor);
    kernels_.keep_better(rows_, kept_, doubles(losses_), doubles(best_), stream_);
  }
  return loss(factor);
}

void DeviceRows::store(Weight* weight, int64_t begin, const Stream& host) const {
  const auto rows = static_cast<size_t>(rows_.rows), columns = static_cast<size_t>(columns_);
  std::vector<int8_t> codes(rows * columns);
  std::vector<float> scales(rows * static_cast<size_t>(groups_));
  kernels_.codes_to_bytes(floats(codes_), rows_.rows * columns_, static_cast<int8_t*>(bytes_.data()), stream_);
  device_.download(codes.data(), bytes_.data(), codes.size());
  device_.download(scales.data(), scales_.data(), scales.size() * sizeof(float));
  for_rows(host, rows_.rows, [&](int64_t r) {
    RowScales row(format_, groups_);
    row.set(scales.data() + r * groups_);
    const int8_t* from = codes.data() + r * columns_;
    const std::vector<float> signed_codes(from, from + columns_);
    store_row(weight, begin + r, signed_codes.data(), row);
  });
}

}  // namespace quamba2
