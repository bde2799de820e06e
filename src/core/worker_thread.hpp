// A thread of the OS whose start may fail: std::thread throws then, which a build without exceptions cannot
// catch.
#pragma once

#if defined(_WIN32)
#include "core/windows_header.hpp"
#else
#include <pthread.h>
#endif

namespace elms::inline v0::detail {

class WorkerThread {
 public:
  using Body = void (*)(void*);

  WorkerThread() = default;
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;
  ~WorkerThread() { join(); }

  /// Runs body(context) on a new thread; false where the OS has none left.
  bool start(Body body, void* context) noexcept {
    body_ = body;
    context_ = context;
#if defined(_WIN32)
    handle_ = CreateThread(nullptr, 0, &WorkerThread::run, this, 0, nullptr);
    started_ = handle_ != nullptr;
#else
    started_ = pthread_create(&handle_, nullptr, &WorkerThread::run, this) == 0;
#endif
    return started_;
  }

  void join() noexcept {
    if (!started_) return;
    started_ = false;
#if defined(_WIN32)
    WaitForSingleObject(handle_, INFINITE);
    CloseHandle(handle_);
#else
    pthread_join(handle_, nullptr);
#endif
  }

 private:
#if defined(_WIN32)
  static DWORD WINAPI run(void* self) {
    static_cast<WorkerThread*>(self)->body_(static_cast<WorkerThread*>(self)->context_);
    return 0;
  }
  HANDLE handle_ = nullptr;
#else
  static void* run(void* self) {
    static_cast<WorkerThread*>(self)->body_(static_cast<WorkerThread*>(self)->context_);
    return nullptr;
  }
  pthread_t handle_{};
#endif
  Body body_ = nullptr;
  void* context_ = nullptr;
  bool started_ = false;
};

}  // namespace elms::inline v0::detail
