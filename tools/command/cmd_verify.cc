// SPDX-License-Identifier: Apache-2.0
//
// cairn verify: checks every page and the structure of the graph.
#include <cstdio>
#include <memory>
#include <string>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/progress.h"

namespace cairn::tools {
namespace {

struct VerifyCommand {
  std::string file;
  OutputFlags flags;
};

Json report_json(const VerifyReport& report) {
  return {{"ok", report.ok()},
          {"pages_checked", report.pages_checked},
          {"nodes_checked", report.nodes_checked},
          {"unreachable", report.unreachable},
          {"findings", report.findings}};
}

void print_report(const VerifyCommand& command, const VerifyReport& report) {
  for (const std::string& finding : report.findings) {
    std::printf("%s\n", printable(finding).c_str());
  }
  if (command.flags.quiet) return;
  std::printf("%s: %s; %s pages and %s nodes checked", printable(command.file).c_str(),
              report.ok() ? "ok" : (with_commas(report.findings.size()) + " findings").c_str(),
              with_commas(report.pages_checked).c_str(), with_commas(report.nodes_checked).c_str());
  if (report.unreachable != 0)
    std::printf(", %s unreachable", with_commas(report.unreachable).c_str());
  std::printf("\n");
}

// A file too damaged to be opened is a finding as well.
Exit report_unopened(const VerifyCommand& command, const Error& error) {
  if (command.flags.json && exit_code(error.code()) == Exit::corrupt) {
    VerifyReport unopened;
    unopened.findings.push_back(error.message());
    print_json(report_json(unopened));
  }
  return report("verify", error);
}

Exit run_verify(const VerifyCommand& command) {
  const auto index = Index::open(command.file);
  if (!index) return report_unopened(command, index.error());
  Progress progress("verify", "pages and nodes",
                    progress_style(!command.flags.json && !command.flags.quiet));
  BuildOptions options;
  options.progress = [&](std::size_t done, std::size_t total) { progress.update(done, total); };
  const auto checked = index->verify(options);
  progress.clear();
  if (!checked) return report("verify", checked.error());
  if (command.flags.json) {
    print_json(report_json(*checked));
  } else {
    print_report(command, *checked);
  }
  return checked->ok() ? Exit::ok : Exit::corrupt;
}

}  // namespace

Run add_verify(CLI::App& app) {
  auto command = std::make_shared<VerifyCommand>();
  CLI::App* sub =
      app.add_subcommand("verify", "Check every page of a file and the structure of its graph");
  add_index_file(*sub, command->file);
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Prints one line for each defect. The exit code is 0 if there is none, 3 otherwise.\n"
      "\n"
      "Examples:\n"
      "  cairn verify words.cairn\n"
      "  cairn verify words.cairn --json --quiet");
  return [command] { return run_verify(*command); };
}

}  // namespace cairn::tools
