#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"

namespace elms::inline v0::detail {
namespace {

Status open_model(const char* path, const elms_open_options* given, elms_model** out) {
  if (out == nullptr) return invalid_argument("elms_model_open: nowhere to write the model");
  *out = nullptr;
  if (path == nullptr) return invalid_argument("elms_model_open: the path is a null pointer");
  ELMS_ASSIGN_OR_RETURN(const elms_open_options asked, read_options(given, "elms_open_options"));
  OpenOptions options;
  options.use_adapters = asked.without_adapters == 0;
  options.use_pack_cache = asked.ignore_pack_cache == 0;
  if (asked.n_threads != 0) {
    ELMS_ASSIGN_OR_RETURN(options.pool, ThreadPool::create(asked.n_threads));
  }
  ELMS_ASSIGN_OR_RETURN(auto model, ElasticModel::open(path, options));
  return make_handle(std::move(model), out);
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_model_open(const char* path, const elms_open_options* options, elms_model** model, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::open_model(path, options, model); }, error);
}

void elms_model_close(elms_model* model) { delete model; }

int32_t elms_model_n_levels(const elms_model* model) {
  return model == nullptr ? 0 : static_cast<int32_t>(model->model->levels().size());
}

double elms_model_level_width(const elms_model* model, int32_t level) {
  if (level < 0 || level >= elms_model_n_levels(model)) return 0.0;
  return model->model->levels()[static_cast<std::size_t>(level)].cost_share;
}

int32_t elms_model_level_for_width(const elms_model* model, double width) {
  return model == nullptr ? 0 : model->model->level_for_width(width);
}

int32_t elms_model_n_vocab(const elms_model* model) { return model == nullptr ? 0 : model->model->config().n_vocab; }

int32_t elms_model_context_tokens(const elms_model* model) {
  return model == nullptr ? 0 : model->model->config().context_length;
}

}  // extern "C"
