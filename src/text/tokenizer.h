// SPDX-License-Identifier: Apache-2.0
// The tokenizer is part of the public interface; this is how the rest of src/ names it.
#pragma once

#include "quamba2/tokenizer.h"
