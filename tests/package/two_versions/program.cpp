// Loads two hosts with different versions of elms inside, and lets them answer in turns: program PLUGIN
// PLUGIN MODEL
#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

struct Plugin {
  const char* (*version)();
  std::size_t (*model_bytes)();
  const char* (*answer)(const char*, int);
};

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
}

/// Names global: the worst case, where the second library's calls may bind to the first one's functions.
Plugin load(const char* path) {
  Plugin plugin{};
  void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    std::printf("%s\n", dlerror());
    return plugin;
  }
  find(library, "plugin_version", plugin.version);
  find(library, "plugin_model_bytes", plugin.model_bytes);
  find(library, "plugin_answer", plugin.answer);
  return plugin;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const Plugin plugins[] = {load(argv[1]), load(argv[2])};
  if (plugins[0].answer == nullptr || plugins[1].answer == nullptr) return 1;
  const std::string versions[] = {plugins[0].version(), plugins[1].version()};
  std::printf("versions %s and %s in one process, models of %zu and %zu bytes\n", versions[0].c_str(),
              versions[1].c_str(), plugins[0].model_bytes(), plugins[1].model_bytes());
  if (versions[0] == versions[1] || plugins[0].model_bytes() == plugins[1].model_bytes()) return 1;
  std::string first;
  for (int i = 0; i < 8; ++i) {
    const std::string text = plugins[i % 2].answer(argv[3], i / 2 % 2);
    if (i == 0) first = text;
    if (text.size() < 4 || text != first) {
      std::printf("plugin %d answered '%s', expected '%s'\n", i % 2, text.c_str(), first.c_str());
      return 1;
    }
  }
  std::printf("SHOWN: versions %s and %s of elms in one process, in C++ and in C: 8 answers, all '%s'\n",
              versions[0].c_str(), versions[1].c_str(), first.c_str());
  return 0;
}
