// Assistant for Java: the native methods of org.elms.Assistant. A handle is a pointer; texts cross as UTF-8
// bytes, since JNI's own strings are not UTF-8.
#include <jni.h>

#include "assistant.hpp"

namespace {

std::string to_string(JNIEnv* env, jbyteArray bytes) {
  std::string text(static_cast<std::size_t>(bytes == nullptr ? 0 : env->GetArrayLength(bytes)), '\0');
  if (!text.empty())
    env->GetByteArrayRegion(bytes, 0, static_cast<jsize>(text.size()), reinterpret_cast<jbyte*>(text.data()));
  return text;
}

jbyteArray to_java(JNIEnv* env, std::string_view text) {
  jbyteArray bytes = env->NewByteArray(static_cast<jsize>(text.size()));
  if (bytes != nullptr)
    env->SetByteArrayRegion(bytes, 0, static_cast<jsize>(text.size()),
                            reinterpret_cast<const jbyte*>(text.data()));
  return bytes;
}

void throw_java(JNIEnv* env, const elms::Status& status) {
  const std::string message = std::string(elms::to_string(status.code())) + ": " + status.message();
  env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), message.c_str());
}

Assistant& assistant_of(jlong handle) {
  return *reinterpret_cast<Assistant*>(handle);
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_org_elms_Assistant_open(JNIEnv* env, jclass, jbyteArray model,
                                                     jbyteArray refiner) {
  auto assistant = Assistant::open(to_string(env, model), to_string(env, refiner));
  if (assistant.has_value()) return reinterpret_cast<jlong>(assistant->release());
  throw_java(env, assistant.error());
  return 0;
}

/// Calls listener.onText(byte[]) for every piece; false, or an exception, ends the answer. Returns the line
/// of times.
JNIEXPORT jbyteArray JNICALL Java_org_elms_Assistant_ask(JNIEnv* env, jclass, jlong handle,
                                                         jbyteArray context, jbyteArray question,
                                                         jdouble ttft_ms, jdouble tpot_ms, jobject listener) {
  const jmethodID on_text = env->GetMethodID(env->GetObjectClass(listener), "onText", "([B)Z");
  if (on_text == nullptr) return nullptr;
  const auto reply = assistant_of(handle).ask(
      to_string(env, context), to_string(env, question), ttft_ms, tpot_ms, [&](std::string_view piece) {
        jbyteArray bytes = to_java(env, piece);
        const bool goes_on = bytes != nullptr && env->CallBooleanMethod(listener, on_text, bytes) == JNI_TRUE;
        env->DeleteLocalRef(bytes);
        return goes_on && !env->ExceptionCheck();
      });
  if (env->ExceptionCheck()) return nullptr;
  if (reply.has_value()) return to_java(env, reply->times);
  throw_java(env, reply.error());
  return nullptr;
}

JNIEXPORT void JNICALL Java_org_elms_Assistant_cancel(JNIEnv*, jclass, jlong handle) {
  assistant_of(handle).cancel();
}

JNIEXPORT void JNICALL Java_org_elms_Assistant_close(JNIEnv*, jclass, jlong handle) {
  delete reinterpret_cast<Assistant*>(handle);
}
}
