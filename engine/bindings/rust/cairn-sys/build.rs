// SPDX-License-Identifier: Apache-2.0
//! Compiles the engine. A package has it in ./core, with the headers of other libraries; in a checkout it is the tree
//! around.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, thread};

#[path = "kernels.rs"]
mod kernels;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=kernels.rs");
    println!("cargo:rerun-if-env-changed=DOCS_RS");
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let packed = manifest.join("core").is_dir();
    let core = manifest.join(if packed { "core" } else { "../../../.." }).canonicalize().unwrap();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());

    let include = out.join("include");
    write_headers(&core, &include.join("cairn"));
    println!("cargo:include={}", include.display());
    if env::var_os("DOCS_RS").is_some() {
        return; // documentation needs no engine
    }

    // Folders of the library -> their sources. A folder is compiled as one file, in which it includes its sources;
    // kernels are not, since each has flags of its own.
    let mut folders: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for room in rooms(&core) {
        println!("cargo:rerun-if-changed={}", core.join(&room).display());
        let top = room.split('/').next().unwrap();
        let folder = if room == "engine/base" {
            "base"
        } else {
            ["engine", "format", "simd"].iter().find(|f| **f == top).unwrap()
        };
        folders.entry(folder).or_default().extend(sources(&core, &room));
    }
    let target = env::var("CARGO_CFG_TARGET_ARCH").unwrap();
    let (simd, kernels): (Vec<String>, Vec<String>) =
        folders.remove("simd").unwrap().into_iter().partition(|s| !s.starts_with("simd/kernels_"));
    folders.insert("simd", simd);

    let mut jobs = Vec::new();
    for source in kernels {
        let name = source.strip_prefix("simd/").unwrap();
        let row = kernels::KERNELS.iter().find(|row| row.0 == name);
        let (_, processor, flags) = row.unwrap_or_else(|| panic!("kernels.rs has no flags for {source}"));
        if processor.is_empty() || *processor == target {
            let mut build = compiler(&core, packed, &include, &target);
            let gnu = if build.get_compiler().is_like_gnu() { kernels::GNU } else { "" };
            for flag in [flags, kernels::ALL, gnu].iter().flat_map(|flags| flags.split_whitespace()) {
                build.flag(flag);
            }
            build.file(core.join(&source));
            jobs.push(build);
        }
    }
    for (folder, sources) in folders {
        let unit = out.join(format!("{folder}.cc"));
        let text: String = sources.iter().map(|source| format!("#include \"{source}\"\n")).collect();
        fs::write(&unit, text).unwrap();
        let mut build = compiler(&core, packed, &include, &target);
        build.file(unit);
        jobs.push(build);
    }

    let mut library = cc::Build::new();
    library.cpp(true);
    for object in compile(jobs) {
        library.object(object);
    }
    library.compile("cairn");
}

/// What all sources have in common.
fn compiler(core: &Path, packed: bool, include: &Path, target: &str) -> cc::Build {
    let mut build = cc::Build::new();
    // A search through code that is not optimized takes ten times as long: the profile of the crate is not that of the
    // engine.
    build.cpp(true).std("c++20").opt_level(3).debug(false).pic(true).warnings(false).cargo_metadata(false);
    build.define("NDEBUG", None).flag("-fvisibility=hidden").flag("-fvisibility-inlines-hidden");
    match target {
        "x86_64" => build.define("CAIRN_SIMD_X86", None),
        "aarch64" => build.define("CAIRN_SIMD_ARM", None),
        _ => &mut build,
    };
    build.include(include).include(core);
    if packed {
        build.flag(format!("-isystem{}", core.join("headers").display()).as_str());
    }
    build
}

/// The objects of all jobs, NUM_JOBS at a time.
fn compile(jobs: Vec<cc::Build>) -> Vec<PathBuf> {
    let at_once = env::var("NUM_JOBS").ok().and_then(|n| n.parse().ok()).unwrap_or(1).clamp(1, jobs.len());
    let waiting = Mutex::new(jobs);
    let objects = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| loop {
                let job = waiting.lock().unwrap().pop();
                match job {
                    Some(job) => {
                        let done = job.compile_intermediates();
                        objects.lock().unwrap().extend(done);
                    }
                    None => return,
                }
            });
        }
    });
    let mut objects = objects.into_inner().unwrap();
    objects.sort();
    objects
}

/// Folders with sources of the library, from the root: all of format/, simd/ and engine/ but the public headers and
/// the bindings.
fn rooms(core: &Path) -> Vec<String> {
    let mut found = vec!["simd".to_string()];
    for top in ["engine", "format"] {
        for entry in fs::read_dir(core.join(top)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.path().is_dir() && name != "include" && name != "bindings" {
                found.push(format!("{top}/{name}"));
            }
        }
    }
    found.sort();
    found
}

fn sources(core: &Path, room: &str) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(core.join(room))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".cc"))
        .map(|name| format!("{room}/{name}"))
        .collect();
    found.sort();
    found
}

/// The public headers, those that CMake would write among them.
fn write_headers(core: &Path, out: &Path) {
    let from = core.join("engine/include/cairn");
    println!("cargo:rerun-if-changed={}", from.display());
    fs::create_dir_all(out).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let mut text = fs::read_to_string(&path).unwrap();
        let mut name = path.file_name().unwrap().to_str().unwrap();
        if let Some(made) = name.strip_suffix(".in") {
            name = made;
            for (word, value) in [
                ("CAIRN_EXPORT_ATTRIBUTE", String::new()),
                ("PROJECT_VERSION_MAJOR", env::var("CARGO_PKG_VERSION_MAJOR").unwrap()),
                ("PROJECT_VERSION_MINOR", env::var("CARGO_PKG_VERSION_MINOR").unwrap()),
                ("PROJECT_VERSION_PATCH", env::var("CARGO_PKG_VERSION_PATCH").unwrap()),
                ("PROJECT_VERSION", env::var("CARGO_PKG_VERSION").unwrap()),
            ] {
                text = text.replace(&format!("@{word}@"), &value);
            }
        }
        fs::write(out.join(name), text).unwrap();
    }
}
