// SPDX-License-Identifier: Apache-2.0
//! What build.rs compiles the kernels with is what CMake compiles them with.
use std::collections::HashMap;
use std::fs;
use std::path::Path;

#[path = "../kernels.rs"]
mod kernels;

/// The words of all calls of `command` in a CMakeLists.txt, variables replaced.
fn calls(text: &str, command: &str, variables: &HashMap<String, String>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.trim().strip_prefix(&format!("{command}(")) {
            let mut words = rest.trim_end_matches(')').to_string();
            for (name, value) in variables {
                words = words.replace(&format!("${{{name}}}"), value);
            }
            found.push(words.split_whitespace().map(str::to_string).collect());
        }
    }
    found
}

#[test]
fn kernels_have_the_flags_that_cmake_gives_them() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packed = manifest.join("core/simd/CMakeLists.txt");
    let file = if packed.exists() { packed } else { manifest.join("../../../../simd/CMakeLists.txt") };
    let text = fs::read_to_string(file).unwrap();

    let mut variables = HashMap::new();
    for name in ["avx2", "avx512"] {
        let set = calls(&text, "set", &variables).into_iter().find(|words| words[0] == name).unwrap();
        variables.insert(name.to_string(), set[1..].join(" "));
    }
    let theirs = calls(&text, "cairn_isa_source", &variables);
    assert_eq!(theirs.len(), kernels::KERNELS.len());
    for words in theirs {
        let ours = kernels::KERNELS.iter().find(|row| row.0 == words[0]);
        assert_eq!(ours.expect(&words[0]).2, words[1..].join(" "), "{}", words[0]);
    }

    let gnu = format!("$<$<CXX_COMPILER_ID:GNU>:{}>", kernels::GNU.replace(' ', ";"));
    let all = format!("\"${{ARGN}};{};{}\")", kernels::ALL.replace(' ', ";"), gnu);
    assert!(text.contains(&all), "{all}");
}
