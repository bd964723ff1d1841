// SPDX-License-Identifier: Apache-2.0
#include "quamba2/session.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <cstring>

#include "arrays.h"
#include "bindings.h"
#include "shared_engine.h"

namespace quamba2::python {
namespace {

using namespace nb::literals;
using PySession = Resident<Session>;

template <class T>
nb::bytes to_bytes(const std::vector<T>& values) {
  return nb::bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

template <class T>
std::vector<T> from_bytes(const nb::bytes& bytes) {
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!out.empty()) std::memcpy(out.data(), bytes.c_str(), out.size() * sizeof(T));
  return out;
}

Logits prefill(PySession& self, nb::handle given) {
  const Ids ids(given);
  std::vector<float> last = self.use([&](Session& session) {
    session.read(ids.span());
    return session.logits();
  });
  const size_t columns = last.size();
  return to_numpy(std::move(last), {columns});
}

Logits prefill_every(PySession& self, nb::handle given) {
  const Ids ids(given);
  std::vector<float> rows = self.use([&](Session& session) { return session.read_every(ids.span()); });
  const auto columns = static_cast<size_t>(self.engine().engine().table_rows());
  return to_numpy(std::move(rows), {ids.span().size(), columns});
}

Logits logits(PySession& self) {
  std::vector<float> last = self.use([](Session& session) { return session.logits(); });
  const size_t columns = last.size();
  return to_numpy(std::move(last), {columns});
}

void bind_snapshot(nb::module_& m) {
  nb::class_<SessionState>(
      m, "Snapshot",
      "What a session knows of what it has read. Can be pickled; belongs to one model, recipe and\n"
      "kind of device.")
      .def_ro("tokens", &SessionState::tokens, "Tokens that had been read.")
      .def_prop_ro("nbytes", [](const SessionState& s) { return s.state.size() + s.logits.size() * sizeof(float); })
      .def("__getstate__",
           [](const SessionState& s) { return std::tuple(to_bytes(s.state), to_bytes(s.logits), s.tokens); })
      .def("__setstate__", [](SessionState& s, const std::tuple<nb::bytes, nb::bytes, int64_t>& from) {
        new (&s) SessionState{from_bytes<std::byte>(std::get<0>(from)), from_bytes<float>(std::get<1>(from)),
                              std::get<2>(from)};
      });
}

}  // namespace

void bind_session(nb::module_& m) {
  bind_snapshot(m);
  nb::class_<PySession>(
      m, "Session",
      "A text that is read step by step. Any number of them take turns in one model; whose turn it is\n"
      "not has its state in host memory.")
      .def("prefill", prefill, "ids"_a,
           nb::sig("def prefill(self, ids: object) -> numpy.typing.NDArray[numpy.float32]"),
           "Reads token ids behind those read before: a list, or a one-dimensional array of int32 (not copied) or "
           "int64\n"
           "of NumPy, PyTorch or any library that knows DLPack. Returns the logits behind the last one, [vocabulary\n"
           "rows], in an array of its own. Raises UsageError for ids that the model does not know.")
      .def("prefill_every", prefill_every, "ids"_a,
           nb::sig("def prefill_every(self, ids: object) -> numpy.typing.NDArray[numpy.float32]"),
           "The same with the logits behind each of the ids: [ids, vocabulary rows].")
      .def("logits", logits, nb::sig("def logits(self) -> numpy.typing.NDArray[numpy.float32]"),
           "Logits behind the last token, [vocabulary rows]. Raises UsageError where none was read.")
      .def_prop_ro(
          "tokens", [](PySession& self) { return self.use([](Session& s) { return s.tokens(); }); },
          "Tokens read so far.")
      .def(
          "reset", [](PySession& self) { self.use([](Session& s) { s.reset(); }); }, "Forgets what was read.")
      .def(
          "snapshot", [](PySession& self) { return self.use([](Session& s) { return s.save(); }); },
          "The state now. What follows `restore` is what would have followed here, bit for bit.")
      .def(
          "restore", [](PySession& self, const SessionState& state) { self.use([&](Session& s) { s.load(state); }); },
          "snapshot"_a,
          "Goes on from a snapshot, of this or another session of the model. Raises UsageError where it does\nnot "
          "fit.");
}

}  // namespace quamba2::python
