// SPDX-License-Identifier: Apache-2.0
// The page at "/": one HTML file with its style and script, in the program.
#pragma once

#include "http.h"

namespace quamba2::server {

extern const char* const kPageText;

// The browser is told to load nothing for it, and to speak to this server only.
inline HttpResponse page_response() {
  constexpr const char* kPolicy =
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return {200,
          kPageText,
          "text/html; charset=utf-8",
          {{"Content-Security-Policy", kPolicy},
           {"Cache-Control", "no-cache"},
           {"Referrer-Policy", "no-referrer"},
           {"X-Content-Type-Options", "nosniff"}}};
}

}  // namespace quamba2::server
