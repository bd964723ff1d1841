// SPDX-License-Identifier: Apache-2.0
// Everything.
#pragma once

#include "quamba2/chat_template.h"
#include "quamba2/engine.h"
#include "quamba2/error.h"
#include "quamba2/evaluate.h"
#include "quamba2/generate.h"
#include "quamba2/log.h"
#include "quamba2/model.h"
#include "quamba2/paused_text.h"
#include "quamba2/quantize.h"
#include "quamba2/random_model.h"
#include "quamba2/report.h"
#include "quamba2/request.h"
#include "quamba2/search.h"
#include "quamba2/service.h"
#include "quamba2/session.h"
#include "quamba2/state_file.h"
#include "quamba2/tasks.h"
#include "quamba2/text_file.h"
#include "quamba2/tokenizer.h"
