#include "elms/offline/convert.hpp"

#include <vector>

#include "elms/detail/buffer.hpp"
#include "elms/detail/dtype.hpp"
#include "elms/detail/error.hpp"
#include "offline/encoder/hf_encoder.hpp"
#include "offline/encoder/wordpiece_metadata.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::Buffer;

Status write_tensor(const detail::SourceTensor& source, DType type, detail::GgufWriter& writer) {
  const auto cols = static_cast<std::size_t>(source.cols);
  ELMS_ASSIGN_OR_RETURN(auto values, Buffer<float>::uninitialized(cols));
  ELMS_ASSIGN_OR_RETURN(auto encoded, Buffer<std::uint8_t>::uninitialized(detail::row_bytes(type, cols)));
  for (std::uint64_t r = 0; r < source.rows; ++r) {
    source.decode_row(r, values.data());
    detail::encode_row(type, values.data(), cols, encoded.data());
    ELMS_RETURN_IF_ERROR(writer.write(encoded));
  }
  return {};
}

Status write_score_head(const HfEncoder& encoder, detail::GgufWriter& writer) {
  ELMS_ASSIGN_OR_RETURN(const HfEncoder::KeepLabel label, encoder.keep_label());
  if (label.weight.empty()) return {};
  writer.set("elms.refiner.version", std::uint32_t{1});
  writer.set("elms.refiner.shared_layers", static_cast<std::uint32_t>(encoder.config().n_layers));
  writer.set("elms.refiner.score.weight", std::span<const float>(label.weight));
  writer.set("elms.refiner.score.bias", std::span<const float>(&label.bias, 1));
  return {};
}

}  // namespace

Status convert_encoder(const std::string& input, const std::string& output, DType type) {
  if (type != DType::kF32 && type != DType::kF16 && type != DType::kQ8_0) {
    return detail::invalid_argument("encoders are written in F32, F16 or Q8_0, not ",
                                    detail::dtype_info(type).name);
  }
  ELMS_ASSIGN_OR_RETURN(const HfEncoder encoder, HfEncoder::open(input));
  ELMS_ASSIGN_OR_RETURN(const WordPieceVocabulary vocabulary, read_wordpiece(input));
  if (vocabulary.tokens.size() > static_cast<std::size_t>(encoder.config().n_vocab)) {
    return detail::malformed(vocabulary.source, ": expected at most the ", encoder.config().n_vocab,
                             " tokens of the model, found ", vocabulary.tokens.size());
  }
  const std::vector<EncoderTensor> tensors = encoder_tensors(encoder.config());
  std::vector<detail::SourceTensor> sources;  // all found and checked before a byte is written
  for (const EncoderTensor& tensor : tensors) {
    ELMS_ASSIGN_OR_RETURN(const detail::SourceTensor source, encoder.tensor(tensor));
    sources.push_back(source);
  }
  detail::GgufWriter writer;
  write_encoder_config(encoder.config(), type, writer);
  ELMS_RETURN_IF_ERROR(write_wordpiece(vocabulary, encoder.config().n_token_types, writer));
  ELMS_RETURN_IF_ERROR(write_score_head(encoder, writer));
  for (const EncoderTensor& tensor : tensors) {
    const std::uint64_t dims[] = {static_cast<std::uint64_t>(tensor.cols),
                                  static_cast<std::uint64_t>(tensor.rows)};
    ELMS_RETURN_IF_ERROR(
        writer.add_tensor(tensor.name, encoder_tensor_type(tensor, type),
                          std::span(dims).first(tensor.rows == 1 && !tensor.is_matrix ? 1 : 2)));
  }
  ELMS_RETURN_IF_ERROR(writer.begin(output));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    ELMS_RETURN_IF_ERROR(write_tensor(sources[i], encoder_tensor_type(tensors[i], type), writer));
  }
  return writer.finish();
}

}  // namespace elms::inline v0::offline
