// SPDX-License-Identifier: Apache-2.0
#include "arrays.h"

#include <nanobind/stl/vector.h>

#include <limits>
#include <memory>
#include <utility>

namespace quamba2::python {
namespace {

constexpr const char* kWanted =
    "token ids must be a list of ints or a one-dimensional array of int32 or int64 in CPU memory, or a tensor of them "
    "on a GPU";

}  // namespace

Ids::Ids(nb::handle given) {
  // A tensor of a GPU comes here first: ids are few, and they are checked and copied to where the model is in any case.
  nb::object from = nb::borrow(given);
  if (nb::hasattr(from, "is_cuda") && nb::cast<bool>(from.attr("is_cuda"))) from = from.attr("cpu")();
  if (nb::isinstance<nb::list>(from) || nb::isinstance<nb::tuple>(from)) {
    if (!nb::try_cast(from, copy_)) throw nb::type_error(kWanted);
    span_ = copy_;
    return;
  }
  if (nb::try_cast(from, array_, false)) {
    span_ = {array_.data(), array_.shape(0)};
    return;
  }
  nb::ndarray<const int64_t, nb::ndim<1>, nb::device::cpu> wide;
  if (!nb::try_cast(from, wide, false)) throw nb::type_error(kWanted);
  copy_.reserve(wide.shape(0));
  for (size_t i = 0; i < wide.shape(0); ++i) {
    const int64_t id = wide(i);
    if (id < std::numeric_limits<int32_t>::min() || id > std::numeric_limits<int32_t>::max())
      throw nb::value_error("a token id is beyond 32 bits");
    copy_.push_back(static_cast<int32_t>(id));
  }
  span_ = copy_;
}

Logits to_numpy(std::vector<float>&& values, std::initializer_list<size_t> shape) {
  auto held = std::make_unique<std::vector<float>>(std::move(values));
  float* data = held->data();
  const nb::capsule owner(held.get(), [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  (void)held.release();  // the capsule's now
  return Logits(data, shape, owner);
}

}  // namespace quamba2::python
