#include "offline/recovery/lora_distillation.hpp"

#include <algorithm>
#include <utility>

#include "offline/progress_meter.hpp"
#include "offline/recovery/steps.hpp"

namespace elms::inline v0::offline {
namespace {

using detail::Buffer;

/// A pupil at work.
struct Student {
  const LoraPupil* pupil;
  LevelUpdate update;
  train::AdamW adam;
  std::vector<float> gradient;  ///< by the update
};

/// Arrays of a model's parameters that all students take turns with.
struct Workspace {
  Buffer<float> base, params, gradients;
};

Result<Student> make_student(const LoraLesson& lesson, const LoraPupil& pupil) {
  LevelUpdate update{LoraLayout(*pupil.layout, lora_shape(lesson.options)), {}};
  update.values.resize(update.layout.size());
  initialise_update(update.layout, pupil.seed, update.values);
  ELMS_ASSIGN_OR_RETURN(auto adam, train::AdamW::create(update.layout.size(), {.weight_decay = 0.0}));
  std::vector<float> gradient(update.layout.size(), 0.0f);
  return Student{&pupil, std::move(update), std::move(adam), std::move(gradient)};
}

/// Returns the distance before the step.
double learn_step(const LoraLesson& lesson, Distiller& distiller, const train::TokenBatch& batch,
                  const StepClock& clock, Workspace& space, Student& student) {
  const train::ParameterLayout& layout = *student.pupil->layout;
  const std::size_t n = layout.size();
  const std::span<float> base(space.base.data(), n), params(space.params.data(), n),
      gradients(space.gradients.data(), n);
  student.pupil->fill(base);
  std::copy(base.begin(), base.end(), params.begin());
  apply_update<float>(*lesson.pool, student.update.layout, base, student.update.values, params);
  std::fill(gradients.begin(), gradients.end(), 0.0f);
  const StudentLoss loss =
      distiller.learn(layout, params, batch, lesson.options.cross_entropy_weight, gradients.data());
  add_update_gradient<float>(*lesson.pool, student.update.layout, student.update.values, gradients,
                             student.gradient);
  optimise(*lesson.pool, student.adam, clock, lesson.options.clip_norm, student.gradient,
           student.update.values);
  return loss.kl;
}

/// Updates and moments of all students, for checkpoints.
std::vector<train::RunTensor> run_tensors(std::vector<Student>& students) {
  std::vector<train::RunTensor> tensors;
  for (std::size_t i = 0; i < students.size(); ++i) {
    const auto add = [&](std::string_view what, std::span<float> values) {
      tensors.push_back({detail::concat("pupil.", i, ".", what), 1, values.size(), values});
    };
    add("update", students[i].update.values);
    add("adam.m", students[i].adam.mean());
    add("adam.v", students[i].adam.variance());
  }
  return tensors;
}

train::Recipe recipe_of(const RecoveryOptions& options, std::size_t n_pupils) {
  train::Recipe recipe = recovery_recipe(options);
  recipe.push_back(detail::concat("models ", n_pupils));
  recipe.push_back(detail::concat("rank ", options.rank));
  recipe.push_back(detail::concat("alpha ", options.alpha));
  for (const std::string& target : options.targets) recipe.push_back(detail::concat("target ", target));
  if (options.train_biases) recipe.push_back("biases");
  return recipe;
}

}  // namespace

LoraShape lora_shape(const RecoveryOptions& options) {
  LoraShape shape;
  shape.rank = options.rank;
  shape.alpha = options.alpha;
  shape.targets = options.targets;
  if (shape.targets.empty())
    shape.targets = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  shape.attention_bias = options.train_biases && options.attention_bias;
  shape.ffn_bias = options.train_biases && options.ffn_bias;
  return shape;
}

Result<RecoveredUpdates> distil_updates(const LoraLesson& lesson, std::span<const LoraPupil> pupils,
                                        Distiller& distiller) {
  constexpr double kDefaultRate = 2e-3;
  std::vector<Student> students;
  std::size_t largest = 0;
  for (const LoraPupil& pupil : pupils) {
    ELMS_ASSIGN_OR_RETURN(Student student, make_student(lesson, pupil));
    students.push_back(std::move(student));
    largest = std::max(largest, pupil.layout->size());
  }
  Workspace space;
  for (Buffer<float>* buffer : {&space.base, &space.params, &space.gradients}) {
    ELMS_ASSIGN_OR_RETURN(*buffer, Buffer<float>::uninitialized_streamed(largest));
  }
  ProgressMeter meter(lesson.options.progress, "recover");
  train::TokenBatch batch;
  StepClock clock(lesson.options, kDefaultRate);
  ELMS_RETURN_IF_ERROR(clock.begin(recipe_of(lesson.options, pupils.size()), run_tensors(students)));
  while (clock.share() < 1.0) {
    ELMS_RETURN_IF_ERROR(clock.report(meter));
    lesson.dataset.train_batch(clock.step(), lesson.options.batch_rows, batch);
    distiller.teach(lesson.layout, lesson.params, batch);
    double loss = 0.0;
    for (Student& student : students) loss += learn_step(lesson, distiller, batch, clock, space, student);
    ELMS_RETURN_IF_ERROR(clock.advance(loss));
  }
  RecoveredUpdates recovered;
  for (Student& student : students) recovered.updates.push_back(std::move(student.update));
  recovered.n_steps = clock.step();
  return recovered;
}

}  // namespace elms::inline v0::offline
