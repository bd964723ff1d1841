// SPDX-License-Identifier: Apache-2.0
// Members of C++ options from Python values.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

namespace quamba2::python {

using OptionDict = nanobind::typed<nanobind::dict, nanobind::str, nanobind::object>;

// Throws TypeError naming the option for a value of another type.
template <class T>
void set_option(T* member, const std::string& name, nanobind::handle value) {
  if (!nanobind::try_cast(value, *member))
    throw nanobind::type_error(("'" + name + "' has a value of the wrong type").c_str());
}

}  // namespace quamba2::python
