// A server that does as told, a folder with photos, and the program beside them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "client/testing/run_program.h"
#include "client/testing/scripted_server.h"
#include "client/testing/temp_folder.h"
#include "common/job_spec.h"
#include "gtest/gtest.h"

namespace likeness::client {

inline v1::Job Rex(v1::JobState state) {
  v1::Job job;
  job.set_name("tenants/default/jobs/rex-7f3c");
  job.set_state(state);
  MutableSubjectOf(*job.mutable_fine_tune()).set_class_noun("dog");
  MutableSubjectOf(*job.mutable_fine_tune()).set_token("rhf");
  job.set_output_model("tenants/default/models/rex-7f3c");
  (*job.mutable_metrics())["loss"] = 0.0431;
  (*job.mutable_metrics())["validation_loss_before"] = 0.112;
  (*job.mutable_metrics())["validation_loss_after"] = 0.0612;
  return job;
}

inline v1::JobEvent Training(int64_t done) {
  v1::JobEvent event;
  event.mutable_progress()->set_phase(v1::JOB_PHASE_TRAINING);
  event.mutable_progress()->set_unit("steps");
  event.mutable_progress()->set_done(done);
  event.mutable_progress()->set_total(300);
  return event;
}

inline void AddOutput(Script& script, const std::string& path, v1::OutputKind kind,
                      const std::string& bytes) {
  auto* output = script.job.add_outputs();
  output->set_path(path);
  output->set_kind(kind);
  output->set_blob(AddBlob(script, bytes));
  output->set_size_bytes(static_cast<int64_t>(bytes.size()));
}

class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    auto* base = script_.capabilities.add_base_models();
    base->set_name("baseModels/mini");
    base->set_image_size(64);
    WriteFile(folder_.path() / "rex" / "01.png", GreyPng(64, 64));
    WriteFile(folder_.path() / "rex" / "02.png", GreyPng(40, 64));
  }

  Ran Run(std::vector<std::string> arguments) {
    Serve(arguments);
    return RunProgramIn(folder_.path(), arguments);
  }

  // Without --server.
  Ran RunAlone(const std::vector<std::string>& arguments) {
    return RunProgramIn(folder_.path(), arguments);
  }

  Ran RunAndInterruptAt(std::vector<std::string> arguments, const std::string& text) {
    Serve(arguments);
    return RunOnTerminal(folder_.path(), arguments, [text](const std::string& shown) {
      return absl::StrContains(shown, text);
    });
  }

  // Presses Ctrl-C while the program waits for the answer of Script::hanging_call.
  Ran RunAndInterruptInCall(std::vector<std::string> arguments) {
    Serve(arguments);
    return RunOnTerminal(folder_.path(), arguments,
                         [this](const std::string&) { return server_->record().hanging > 0; });
  }

  void Serve(std::vector<std::string>& arguments) {
    server_ = std::make_unique<ScriptedServer>(script_);
    arguments.push_back("--server=" + server_->address());
  }

  Script script_;
  TempFolder folder_;
  std::unique_ptr<ScriptedServer> server_;
};

}  // namespace likeness::client
