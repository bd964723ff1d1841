// SPDX-License-Identifier: Apache-2.0
// The marks of base/host_device.h, under the name that the headers of this folder include.
#pragma once

#include "base/host_device.h"
