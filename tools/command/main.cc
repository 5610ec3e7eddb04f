// SPDX-License-Identifier: Apache-2.0
//
// cairn: build an index from vectors, search it, measure it, look inside it. docs/cli.md
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <cairn/index.h>
#include <cairn/version.h>

#include "tools/command/command.h"
#include "tools/files/byte_source.h"

namespace cairn::tools {
namespace {

using Commands = std::vector<std::pair<CLI::App*, Run>>;

// A standard descriptor that is closed would be given to the next file that is opened, and messages
// would go into it.
void open_missing_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!::open("/dev/null", O_RDWR);
  }
}

std::string version_text() {
  return std::string("cairn ") + kVersion + " (" + simd_info().active + ")";
}

// The subcommand that the words on the line have reached, if any.
const CLI::App* reached(const Commands& commands) {
  for (const auto& [command, run] : commands) {
    if (command->parsed()) return command;
  }
  return nullptr;
}

// The words that name it: of the commands of `shards`, both.
std::string name_of(const CLI::App* command) {
  if (command == nullptr) return "";
  const auto further = command->get_subcommands();
  return command->get_name() + (further.empty() ? "" : " " + further.front()->get_name());
}

Exit wrong_use(const std::string& message, const Commands& commands) {
  const std::string name = name_of(reached(commands));
  std::fprintf(stderr, "cairn: %s%s\n", name.empty() ? "" : (name + ": ").c_str(),
               printable(message).c_str());
  std::fprintf(stderr, "Try 'cairn %s--help'.\n", name.empty() ? "" : (name + " ").c_str());
  return Exit::wrong_use;
}

// An exception, as what is said of an Error.
Exit failed(const std::string& command, const std::exception& exception) {
  ErrorCode code = ErrorCode::internal;
  std::string what = exception.what();
  const auto* system = dynamic_cast<const std::system_error*>(&exception);
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) {
    code = ErrorCode::out_of_memory;
    what = "no memory";
  } else if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again) {
    code = ErrorCode::out_of_memory;
    what = "cannot start a thread: " + system->code().message();
  }
  std::fprintf(stderr, "cairn: %s%s (%d): %s\n", command.empty() ? "" : (command + ": ").c_str(),
               error_name(code), static_cast<int>(code), what.c_str());
  return Exit::failed;
}

Exit run(int argc, char** argv) {
  CLI::App app("Vector search in one mapped file.");
  app.name("cairn");
  app.set_version_flag("--version", version_text(),
                       "Print the version and the instruction set in use");
  app.require_subcommand(0, 1);
  app.footer(
      "Examples:\n"
      "  cairn build words.fbin -o words.cairn\n"
      "  cairn search words.cairn queries.fbin -k 5 --names words.txt\n"
      "  cairn recall words.cairn queries.fbin --ef 10,20,40,80\n"
      "\n"
      "Exit codes: 0 ok, 1 failed, 2 wrong use, 3 the index file is corrupt.\n"
      "'cairn COMMAND --help' tells more about a command.");

  app.get_formatter()->label("SUBCOMMAND", "COMMAND");

  Commands commands;
  for (const auto& add : {add_build, add_search, add_recall, add_tune, add_info, add_verify,
                          add_get, add_add, add_remove, add_compact, add_recover, add_backup,
                          add_import, add_export, add_migrate, add_shards}) {
    Run command = add(app);
    commands.emplace_back(app.get_subcommands(nullptr).back(), std::move(command));
    commands.back().first->group("Commands");
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::printf("%s", app.help().c_str());
    return Exit::ok;
  } catch (const CLI::CallForVersion& version) {
    std::printf("%s\n", version.what());
    return Exit::ok;
  } catch (const CLI::ExtrasError& error) {
    const bool no_command = reached(commands) == nullptr;
    return wrong_use(no_command ? "no command '" + app.remaining().front() + "'" : error.what(),
                     commands);
  } catch (const CLI::ParseError& error) {
    return wrong_use(error.what(), commands);
  }
  for (const auto& [command, action] : commands) {
    if (!command->parsed()) continue;
    try {
      return action();
    } catch (const std::exception& exception) {
      return failed(name_of(command), exception);
    }
  }
  return wrong_use("a command is missing", commands);
}

}  // namespace
}  // namespace cairn::tools

int main(int argc, char** argv) {
  using cairn::tools::Exit;
  cairn::tools::open_missing_descriptors();
  // A file that would become longer than the process may write (RLIMIT_FSIZE) is an error, EFBIG.
  std::signal(SIGXFSZ, SIG_IGN);
  Exit exit = Exit::failed;
  try {
    exit = cairn::tools::run(argc, argv);
  } catch (const std::exception& exception) {
    exit = cairn::tools::failed("", exception);
  }
  // A full disk under standard output is a failure too.
  const bool flushed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!flushed) {
    (void)cairn::tools::report("standard output", cairn::tools::system_error(errno));
    if (exit == Exit::ok) exit = Exit::failed;
  }
  return static_cast<int>(exit);
}
