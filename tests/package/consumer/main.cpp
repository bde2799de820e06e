// The least that a host does: it asks for a model that is not there, and gets a reason.
#include <elms/elastic_model.hpp>
#include <elms/session.hpp>
#include <iostream>

int main() {
  const auto model = elms::ElasticModel::open("absent.gguf");
  if (model.has_value()) {
    const auto session = elms::Session::create(*model, {});
    std::cerr << "opened a file that does not exist\n";
    return session.has_value() ? 2 : 3;
  }
  std::cout << model.error().message() << '\n';
  return model.error().code() == elms::StatusCode::kNotFound ? 0 : 1;
}
