// SPDX-License-Identifier: Apache-2.0
// Marks functions that both the host's and the device's compiler take.
#pragma once

#if defined(__CUDACC__)
#define QUAMBA2_HOST_DEVICE __host__ __device__
#else
#define QUAMBA2_HOST_DEVICE
#endif
