// SPDX-License-Identifier: Apache-2.0
#include "tools/command/swap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include <nlohmann/json.hpp>

#include <cairn/index.h>

#include "tools/files/byte_source.h"
#include "tools/files/file_sink.h"

namespace cairn::tools {

namespace fs = std::filesystem;

namespace {

Result<void> sync_at(const fs::path& path, int flags) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) return system_error(errno, "open " + path.string());
  const Descriptor descriptor(fd);
  if (::fsync(fd) != 0) return system_error(errno, "sync " + path.string());
  return {};
}

Result<void> sync_directory_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return sync_at(parent.empty() ? fs::path(".") : parent, O_DIRECTORY);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

// Two names of one file.
bool is_same(const fs::path& a, const fs::path& b) {
  std::error_code failed;
  return fs::equivalent(a, b, failed) && !failed;
}

enum class State { swapping, done, rolling_back };

struct Record {
  std::string source;
  bool had_file = false;
  State state = State::done;
};

const char* name_of(State state) {
  switch (state) {
    case State::swapping: return "swapping";
    case State::done: return "done";
    case State::rolling_back: return "rolling back";
  }
  return "";
}

Result<void> write_record(FileSteps& steps, const SwapNames& names, const Record& record) {
  const nlohmann::ordered_json document = {
      {"source", record.source}, {"had_file", record.had_file}, {"state", name_of(record.state)}};
  return steps.write(
      names.record, document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

// Nothing if there is none; one that cannot be understood is an error.
Result<std::optional<Record>> read_record(const SwapNames& names) {
  if (!is_there(names.record)) return std::optional<Record>();
  std::ifstream in(names.record, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto document = nlohmann::json::parse(text, nullptr, false);
  Record record;
  bool understood = document.is_object() && document.contains("source") &&
                    document["source"].is_string() && document.contains("had_file") &&
                    document["had_file"].is_boolean() && document.contains("state");
  if (understood) {
    record.source = document["source"];
    record.had_file = document["had_file"];
    understood = false;
    for (const State state : {State::swapping, State::done, State::rolling_back}) {
      if (document["state"] != name_of(state)) continue;
      record.state = state;
      understood = true;
    }
  }
  if (!understood) {
    return Error(ErrorCode::invalid_argument,
                 names.record.string() + " is not what a migration has written");
  }
  return std::optional<Record>(record);
}

// What had the place goes out of it, and what had it before comes back.
Result<void> restore(FileSteps& steps, const SwapNames& names) {
  if (is_there(names.file)) {
    if (auto ok = steps.remove(names.fresh); !ok) return ok;
    const auto linked = steps.link(names.file, names.fresh);
    if (!linked && linked.error().code() != ErrorCode::unsupported) return linked;
  }
  return steps.rename(names.before, names.file);
}

// A way in that the process did not live to end, told by what it has left.
bool has_swapped(const SwapNames& names, const Record& record) {
  if (record.state != State::swapping) return true;
  if (record.had_file) return is_there(names.before) && !is_same(names.file, names.before);
  return is_there(names.file);
}

}  // namespace

Result<void> FileSteps::link(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) != 0) {
    if (errno == EEXIST) return Error(ErrorCode::path_exists, to.string() + " exists");
    if (errno == EPERM || errno == ENOTSUP || errno == ENOSYS || errno == EMLINK)
      return Error(ErrorCode::unsupported, "no second name for " + from.string());
    return system_error(errno, "link " + to.string());
  }
  return sync_directory_of(to);
}

Result<void> FileSteps::rename(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    return system_error(errno, "rename " + from.string() + " to " + to.string());
  return sync_directory_of(to);
}

Result<void> FileSteps::remove(const fs::path& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return system_error(errno, "remove " + path.string());
  }
  return sync_directory_of(path);
}

Result<void> FileSteps::write(const fs::path& path, const std::string& text) {
  fs::path temporary;
  {
    const auto made = create_beside(path);
    if (!made) return made.error();
    temporary = made->name;
    const int fd = made->descriptor.get();
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote != static_cast<ssize_t>(text.size()) || ::fsync(fd) != 0) {
      const int number = wrote < 0 || wrote == static_cast<ssize_t>(text.size()) ? errno : ENOSPC;
      (void)::unlink(temporary.c_str());
      return system_error(number, "write " + temporary.string());
    }
  }
  return FileSteps::rename(temporary, path);
}

SwapNames::SwapNames(const fs::path& path) {
  // A link to a file stands for the file: all names are beside what it leads to.
  std::error_code failed;
  const fs::path target = fs::is_symlink(path, failed) ? fs::weakly_canonical(path, failed) : path;
  file = failed || target.empty() ? path : target;
  fresh = file.string() + ".new";
  before = file.string() + ".before";
  record = file.string() + ".migrated";
}

Result<void> check_place(const fs::path& path, Earlier earlier) {
  const SwapNames names(path);
  std::error_code ignored;
  if (is_there(names.file) && !fs::is_regular_file(names.file, ignored)) {
    return Error(ErrorCode::path_exists, names.file.string() + " is not a regular file");
  }
  if (earlier == Earlier::keep && is_there(names.before) && !is_same(names.file, names.before)) {
    return Error(
        ErrorCode::path_exists,
        names.before.string() +
            " exists: of an earlier migration; --force replaces it, --rollback returns to it");
  }
  return Index::check_save(names.file, SaveOptions{Existing::replace, nullptr});
}

Result<void> put_in_place(FileSteps& steps, const fs::path& path, const std::string& source,
                          Earlier earlier) {
  if (auto ok = check_place(path, earlier); !ok) return ok;
  const SwapNames names(path);
  Record record{source, is_there(names.file), State::swapping};
  // Without a FILE, a FILE.before may be all that is left of it.
  if (record.had_file) {
    if (auto ok = steps.remove(names.before); !ok) return ok;
  }
  if (auto ok = write_record(steps, names, record); !ok) return ok;
  if (!record.had_file) {
    // Not over what has appeared meanwhile.
    auto placed = steps.link(names.fresh, names.file);
    if (placed) {
      placed = steps.remove(names.fresh);
    } else if (placed.error().code() == ErrorCode::unsupported) {
      placed = steps.rename(names.fresh, names.file);
    }
    if (!placed) return placed;
  } else {
    auto kept = steps.link(names.file, names.before);
    if (!kept && kept.error().code() == ErrorCode::unsupported)
      kept = steps.rename(names.file, names.before);
    if (!kept) return kept;
    if (auto ok = steps.rename(names.fresh, names.file); !ok) return ok;
  }
  record.state = State::done;
  return write_record(steps, names, record);
}

Result<WayBack> roll_back(FileSteps& steps, const fs::path& path) {
  const SwapNames names(path);
  if (auto ok = Index::check_save(names.file, SaveOptions{Existing::replace, nullptr}); !ok)
    return ok.error();
  auto read = read_record(names);
  if (!read) return read.error();
  const bool before = is_there(names.before);
  if (!*read && !before) {
    return Error(ErrorCode::path_not_found,
                 "no migration of " + names.file.string() + " to return from: neither " +
                     names.record.string() + " nor " + names.before.string() + " is there");
  }
  // Of a record that is lost the file before is enough to return to.
  Record record = read->value_or(Record{"", true, State::done});
  WayBack back{record.source, has_swapped(names, record), true};
  if (record.had_file && before && is_same(names.file, names.before)) back.swapped = false;
  if (!back.swapped) {
    back.restored = is_there(names.file);
    // It may be the only name of the file, where there are no second ones.
    if (record.had_file && before && is_there(names.file)) {
      if (auto ok = steps.remove(names.before); !ok) return ok.error();
    }
  } else if (record.had_file && !before && record.state == State::done) {
    return Error(ErrorCode::path_not_found, names.before.string() + " is not there any more");
  } else {
    const State was = record.state;
    record.state = State::rolling_back;
    if (auto ok = write_record(steps, names, record); !ok) return ok.error();
    back.restored = record.had_file;
    if (record.had_file && before) {
      if (auto ok = restore(steps, names); !ok) return ok.error();
    } else if (!record.had_file && is_there(names.file)) {
      if (was == State::swapping && is_same(names.file, names.fresh)) {
        if (auto ok = steps.remove(names.file); !ok) return ok.error();
      } else if (auto ok = steps.rename(names.file, names.fresh); !ok) {
        return ok.error();
      }
    }
  }
  if (auto ok = steps.remove(names.record); !ok) return ok.error();
  return back;
}

}  // namespace cairn::tools
