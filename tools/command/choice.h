// SPDX-License-Identifier: Apache-2.0
//
// Options whose value is one of a few names.
#pragma once

#include <map>
#include <string>

#include <CLI/CLI.hpp>

namespace cairn::tools {

// Calls set(value) with what stands for the name that is given; another one is wrong use.
template <class Value, class Set>
void add_choice(CLI::App& sub, const std::string& name, const std::string& description,
                const std::map<std::string, Value>& choices, const Set& set) {
  sub.add_option_function<std::string>(
         name,
         [name, choices, set](const std::string& text) {
           const auto found = choices.find(text);
           if (found != choices.end()) return set(found->second);
           std::string known;
           for (const auto& [choice, value] : choices)
             known += (known.empty() ? "" : ", ") + choice;
           throw CLI::ValidationError(name, "'" + text + "' is none of: " + known);
         },
         description)
      ->type_name("NAME");
}

}  // namespace cairn::tools
