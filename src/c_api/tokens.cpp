#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"

namespace elms::inline v0::detail {
namespace {

Status tokenize(const elms_model* model, const char* text, std::size_t text_bytes, const elms_tokenize_options* given,
                int32_t* out, std::size_t capacity, std::size_t* n_out) {
  if (model == nullptr) return invalid_argument("elms_tokenize: no model");
  ELMS_ASSIGN_OR_RETURN(const elms_tokenize_options asked, read_options(given, "elms_tokenize_options"));
  ELMS_ASSIGN_OR_RETURN(const std::string_view view, read_text(text, text_bytes, "text"));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, model->model->tokenizer());
  const EncodeOptions options{.add_special = asked.without_special == 0, .parse_special = asked.parse_special != 0};
  const std::vector<TokenId> tokens = tokenizer->encode(view, options);
  return copy_out<int32_t>(tokens, out, capacity, n_out, "tokens");
}

Status detokenize(const elms_model* model, const int32_t* tokens, std::size_t n_tokens, char* out, std::size_t capacity,
                  std::size_t* n_out) {
  if (model == nullptr) return invalid_argument("elms_detokenize: no model");
  ELMS_ASSIGN_OR_RETURN(const std::span<const TokenId> ids, read_tokens(tokens, n_tokens));
  ELMS_ASSIGN_OR_RETURN(const auto tokenizer, model->model->tokenizer());
  const std::string text = tokenizer->decode(ids);
  return copy_out<char>(text, out, capacity, n_out, "bytes of text");
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_tokenize(const elms_model* model, const char* text, size_t text_bytes, const elms_tokenize_options* options,
                        int32_t* tokens, size_t capacity, size_t* n_tokens, elms_error* error) {
  const auto encode = [&] {
    return elms::detail::tokenize(model, text, text_bytes, options, tokens, capacity, n_tokens);
  };
  return elms::detail::report(encode, error);
}

elms_code elms_detokenize(const elms_model* model, const int32_t* tokens, size_t n_tokens, char* text, size_t capacity,
                          size_t* text_bytes, elms_error* error) {
  const auto decode = [&] { return elms::detail::detokenize(model, tokens, n_tokens, text, capacity, text_bytes); };
  return elms::detail::report(decode, error);
}

}  // extern "C"
