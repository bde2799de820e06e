// The whole device API. The offline half is in elms/offline/*.hpp.
#pragma once

#include "elms/chat_template.hpp"
#include "elms/elastic_model.hpp"
#include "elms/generate.hpp"
#include "elms/level.hpp"
#include "elms/log.hpp"
#include "elms/model_config.hpp"
#include "elms/op_times.hpp"
#include "elms/pack.hpp"
#include "elms/probe.hpp"
#include "elms/sampler.hpp"
#include "elms/session.hpp"
#include "elms/status.hpp"
#include "elms/thread_pool.hpp"
#include "elms/tokenizer.hpp"
#include "elms/types.hpp"
