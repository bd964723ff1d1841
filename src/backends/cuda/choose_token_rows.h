// SPDX-License-Identifier: Apache-2.0
// Rows on the GPU of the operations that choose tokens and feed them to the next call.
#pragma once

#include "backend/kernel.h"

namespace quamba2 {

KernelRows<ChooseTokenArgs> cuda_choose_token_rows();
KernelRows<FollowTokensArgs> cuda_follow_tokens_rows();

}  // namespace quamba2
