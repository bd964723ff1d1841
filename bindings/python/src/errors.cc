// SPDX-License-Identifier: Apache-2.0
// quamba2::Error becomes the class of quamba2.errors that its code names.
#include <string>

#include "bindings.h"
#include "quamba2/error.h"

namespace quamba2::python {
namespace {

// Paths need not be UTF-8.
nb::object text(const std::string& bytes) {
  return nb::steal(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& e) {
    // Within the handler of another exception nothing may be thrown from here.
    try {
      const nb::object make = nb::module_::import_("quamba2.errors").attr("make");
      const nb::object error = make(static_cast<int>(e.code()), text(e.what()), text(e.subject()), text(e.where()),
                                    text(e.why()), text(e.hint()));
      PyErr_SetObject(error.type().ptr(), error.ptr());
    } catch (nb::python_error& failure) {
      failure.restore();
    }
  }
}

}  // namespace

void bind_errors(nb::module_&) { nb::register_exception_translator(translate); }

}  // namespace quamba2::python
