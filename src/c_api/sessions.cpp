#include "c_api/arguments.hpp"
#include "c_api/handles.hpp"
#include "c_api/sampling.hpp"

namespace elms::inline v0::detail {
namespace {

Status create_session(const elms_model* model, const elms_session_options* given, elms_session** out) {
  if (out == nullptr) return invalid_argument("elms_session_create: nowhere to write the session");
  *out = nullptr;
  if (model == nullptr) return invalid_argument("elms_session_create: no model");
  ELMS_ASSIGN_OR_RETURN(const elms_session_options asked, read_options(given, "elms_session_options"));
  SessionOptions options;
  options.context_tokens = asked.context_tokens;
  if (asked.batch_tokens != 0) options.batch_tokens = asked.batch_tokens;
  if (asked.width != 0.0) options.width = asked.width;
  if (asked.kv_int8 != 0) options.kv_type = KvType::kQ8;
  ELMS_ASSIGN_OR_RETURN(Session session, Session::create(model->model, options));
  return make_handle(std::move(session), out);
}

Status set_sampling(elms_session* session, const elms_sampling* given) {
  if (session == nullptr) return invalid_argument("elms_session_set_sampling: no session");
  ELMS_ASSIGN_OR_RETURN(SamplerOptions options, read_sampling(given));
  ELMS_ASSIGN_OR_RETURN(Sampler sampler, Sampler::create(std::move(options), session->session.model().config().n_vocab));
  session->session.set_sampler(std::move(sampler));
  return {};
}

Status prefill(elms_session* session, const int32_t* tokens, std::size_t n_tokens, const elms_cancel* cancel) {
  if (session == nullptr) return invalid_argument("elms_session_prefill: no session");
  ELMS_ASSIGN_OR_RETURN(const std::span<const TokenId> ids, read_tokens(tokens, n_tokens));
  session->session.set_cancel(token_of(cancel));
  const Status status = session->session.prefill(ids);
  session->session.set_cancel(nullptr);
  return status;
}

Status decode(elms_session* session, const elms_cancel* cancel, int32_t* token) {
  if (session == nullptr || token == nullptr) {
    return invalid_argument("elms_session_decode: ", session == nullptr ? "no session" : "nowhere to write the token");
  }
  session->session.set_cancel(token_of(cancel));
  const Result<TokenId> next = session->session.decode();
  session->session.set_cancel(nullptr);
  *token = next.has_value() ? *next : kNoToken;
  return next.error();
}

Status rewind(elms_session* session, std::int32_t n_tokens) {
  if (session == nullptr) return invalid_argument("elms_session_rewind: no session");
  return session->session.rewind(n_tokens);
}

}  // namespace
}  // namespace elms::inline v0::detail

extern "C" {

elms_code elms_session_create(const elms_model* model, const elms_session_options* options, elms_session** session,
                              elms_error* error) {
  return elms::detail::report([&] { return elms::detail::create_session(model, options, session); }, error);
}

void elms_session_free(elms_session* session) { delete session; }

int32_t elms_session_set_width(elms_session* session, double width) {
  return session == nullptr ? 0 : session->session.set_width(width);
}

double elms_session_width(const elms_session* session) { return session == nullptr ? 0.0 : session->session.width(); }

elms_code elms_session_set_sampling(elms_session* session, const elms_sampling* sampling, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::set_sampling(session, sampling); }, error);
}

elms_code elms_session_prefill(elms_session* session, const int32_t* tokens, size_t n_tokens, const elms_cancel* cancel,
                               elms_error* error) {
  return elms::detail::report([&] { return elms::detail::prefill(session, tokens, n_tokens, cancel); }, error);
}

elms_code elms_session_decode(elms_session* session, const elms_cancel* cancel, int32_t* token, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::decode(session, cancel, token); }, error);
}

const float* elms_session_logits(const elms_session* session) {
  return session == nullptr || session->session.logits().empty() ? nullptr : session->session.logits().data();
}

int32_t elms_session_position(const elms_session* session) { return session == nullptr ? 0 : session->session.position(); }

elms_code elms_session_rewind(elms_session* session, int32_t n_tokens, elms_error* error) {
  return elms::detail::report([&] { return elms::detail::rewind(session, n_tokens); }, error);
}

void elms_session_reset(elms_session* session) {
  if (session != nullptr) session->session.reset();
}

}  // extern "C"
