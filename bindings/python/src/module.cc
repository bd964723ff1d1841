// SPDX-License-Identifier: Apache-2.0
// quamba2._core: what the package quamba2 is made of.
#include "bindings.h"

NB_MODULE(_core, m) {
  m.doc() = "What the package quamba2 is made of. Use that instead: names in here may change.";
  m.attr("version") = QUAMBA2_VERSION;
  using namespace quamba2::python;
  bind_errors(m);
  bind_work(m);
  bind_tokenizer(m);
  bind_engine(m);
  bind_session(m);
  bind_generation(m);
  bind_quantize(m);
  bind_evaluate(m);
}
