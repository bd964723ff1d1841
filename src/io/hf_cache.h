// SPDX-License-Identifier: Apache-2.0
// The local Hugging Face cache: found by the same variables as huggingface_hub does, only read, never filled.
#pragma once

#include <string>

namespace quamba2 {

// True for `org/name` and `name`: what could be a repository on the hub.
bool is_repository_name(const std::string& name);

// $HF_HUB_CACHE, else $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
std::string hub_cache_directory();

// The snapshot directory of `org/name` that refs/main names (or the only one). Throws Error{kModelFile} that says how
// to get the model.
std::string find_in_hub_cache(const std::string& name);

}  // namespace quamba2
