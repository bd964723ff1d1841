// SPDX-License-Identifier: Apache-2.0
#include "quamba2/tokenizer.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "work.h"

namespace quamba2::python {

using namespace nb::literals;

void bind_tokenizer(nb::module_& m) {
  nb::class_<Tokenizer>(m, "Tokenizer", "Text to token ids and back. Immutable; safe to use from many threads at once.")
      .def_static(
          "load", [](const std::string& path) { return std::const_pointer_cast<Tokenizer>(Tokenizer::load(path)); },
          "path"_a, "From a model directory, a tokenizer.json or a tokenizer.model. Raises ModelFileError.")
      .def(
          "encode",
          [](const Tokenizer& self, std::string_view text, bool add_special_tokens, bool parse_special) {
            return without_lock([&] { return self.encode(text, add_special_tokens, parse_special); });
          },
          "text"_a, "add_special_tokens"_a = false, "parse_special"_a = true,
          "Token ids. `add_special_tokens` puts BOS, EOS and the like around the text, as the model asks; with\n"
          "`parse_special` false the names of special tokens in the text are plain text (for text that is not "
          "trusted).")
      .def(
          "decode",
          [](const Tokenizer& self, nb::handle ids, bool skip_special) {
            return self.decode(Ids(ids).vector(), skip_special);
          },
          nb::sig("def decode(self, ids: object, skip_special: bool = False) -> str"), "ids"_a,
          "skip_special"_a = false,
          "Text. Bytes that are no UTF-8 become U+FFFD; ids that no token has count as nothing.")
      .def("id", &Tokenizer::token_id, "token"_a,
           "The id of a token as the vocabulary writes it; None where it has none.")
      .def("token", &Tokenizer::token_text, "id"_a,
           "The token as the vocabulary writes it; \"\" for an id that no token has.")
      .def("is_special", &Tokenizer::is_special, "id"_a)
      .def_prop_ro("vocab_size", &Tokenizer::vocab_size, "Highest id + 1.")
      .def_prop_ro("bos_id", &Tokenizer::bos_id)
      .def_prop_ro("eos_id", &Tokenizer::eos_id);
}

}  // namespace quamba2::python
