# SPDX-License-Identifier: Apache-2.0
"""What has to exist before anything is measured: rivals' sources, the program, data, built indexes. All of it cached."""
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(BENCH)
RIVALS = {"usearch": "2.25.3", "hnswlib-node": "3.0.0"}
METRICS = {"fashion": ["cosine", "l2"], "synth100k": ["l2"], "synth1m": ["l2"]}  # others: cosine


class Failure(Exception):
    """Something that the user should read; no stack trace."""


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def run_logged(command, log, **kwargs):
    with open(log, "ab") as out:
        if subprocess.run(command, stdout=out, stderr=out, **kwargs).returncode != 0:
            with open(log, "rb") as text:
                sys.stderr.buffer.write(b"".join(text.readlines()[-30:]))
            raise Failure(f"{' '.join(command[:3])} ... failed; all of its output: {log}")


def read_json(path, default=None):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return default


def write_json(path, value):
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")
    os.replace(path + ".part", path)


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def thp_mode():
    try:
        with open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="utf-8") as file:
            return file.read().split("[")[1].split("]")[0]
    except OSError:
        return "unknown"


def other_tree(folder):
    """cmake refuses a folder that another working tree has configured, unless it may begin anew."""
    try:
        with open(os.path.join(folder, "CMakeCache.txt"), encoding="utf-8") as file:
            mine = f"CMAKE_HOME_DIRECTORY:INTERNAL={os.path.join(BENCH, 'compare.d')}\n"
            return [] if mine in file else ["--fresh"]
    except FileNotFoundError:
        return []


class Workshop:
    """Finds or makes everything under one cache folder."""

    def __init__(self, cache, threads, rivals_only, keep_cairn):
        self.cache = os.path.abspath(cache)
        self.threads = threads
        self.rivals_only = rivals_only
        self.keep_cairn = keep_cairn
        for folder in ("npm", "rivals", "build", "data", "indexes"):
            os.makedirs(os.path.join(self.cache, folder), exist_ok=True)
        self._cairn_key = None

    def path(self, *parts):
        return os.path.join(self.cache, *parts)

    # --- sources and program -------------------------------------------------------------------------------------
    def fetch_rivals(self):
        for package, version in RIVALS.items():
            folder = self.path("rivals", f"{package}-{version}")
            if os.path.exists(os.path.join(folder, "complete")):
                continue
            say(f"fetching {package} {version}")
            archive = self.path("npm", f"{package}-{version}.tgz")
            if not os.path.exists(archive):
                run_logged(["npm", "pack", "--silent", f"{package}@{version}"], self.path("build", "npm.log"),
                           cwd=self.path("npm"))
            shutil.rmtree(folder, ignore_errors=True)
            with tarfile.open(archive) as tar:
                for member in tar.getmembers():
                    member.name = member.name.split("/", 1)[1] if "/" in member.name else member.name
                    if not member.name.startswith(("/", "..", "prebuilds/")):
                        tar.extract(member, folder)
            if package == "usearch":  # writes nk_probes.h: which kernels this compiler can compile
                run_logged(["node", "probes/probe.js"], self.path("build", "npm.log"), cwd=os.path.join(folder, "numkong"))
            open(os.path.join(folder, "complete"), "w", encoding="utf-8").close()

    def build_program(self):
        self.fetch_rivals()
        folder = self.path("build", "compare-rivals" if self.rivals_only else "compare")
        log = folder + ".log"
        say("compiling (the first time takes a few minutes)" if not os.path.exists(folder) else "compiling")
        if os.path.exists(log):
            os.remove(log)
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        run_logged(["cmake", *generator, *other_tree(folder), "-S", os.path.join(BENCH, "compare.d"), "-B", folder, "-DCMAKE_BUILD_TYPE=Release",
                    f"-DCOMPARE_CAIRN={'OFF' if self.rivals_only else 'ON'}",
                    f"-DHNSWLIB_DIR={self.path('rivals', 'hnswlib-node-' + RIVALS['hnswlib-node'])}",
                    f"-DUSEARCH_DIR={self.path('rivals', 'usearch-' + RIVALS['usearch'])}"], log)
        run_logged(["cmake", "--build", folder], log)
        self.program = os.path.join(folder, "compare")

    def run(self, command, config, program=None):
        program = program or self.program
        done = subprocess.run([program, command], input=json.dumps(config), stdout=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode != 0:
            raise Failure(f"{os.path.basename(program)} {command} failed (exit {done.returncode})")
        return json.loads(done.stdout)

    def cairn_key(self):
        """Changes with any source of the library: an index of another version is built anew."""
        if self._cairn_key is None:
            digest = hashlib.sha256()
            for top in ("engine", "format", "simd"):
                for folder, folders, files in sorted(os.walk(os.path.join(ROOT, top))):
                    folders.sort()
                    for name in sorted(files):
                        with open(os.path.join(folder, name), "rb") as file:
                            digest.update(os.path.relpath(os.path.join(folder, name), ROOT).encode() + b"\0" + file.read())
            self._cairn_key = digest.hexdigest()[:10]
        return self._cairn_key

    # --- data ----------------------------------------------------------------------------------------------------
    def dataset(self, name, rows):
        """Fetches or generates a set; returns {"name", "base", "queries", "rows"} with rows 0 for all of them."""
        if not os.path.exists(self.path("data", name, "complete")):
            script = [os.path.join(BENCH, "datasets"), "--cache", self.cache, name]
            if subprocess.run(script, check=False).returncode != 0:
                raise Failure(f"no data set '{name}'")
        with open(self.path("data", name, "base.fbin"), "rb") as file:
            total = int.from_bytes(file.read(4), "little")
        return {"name": name, "rows": rows if 0 < rows < total else 0, "total": rows if 0 < rows < total else total,
                "base": self.path("data", name, "base.fbin"), "queries": self.path("data", name, "query.fbin")}

    def truth(self, data, metric):
        if not data["rows"]:
            return self.path("data", data["name"], f"truth-{metric}.ibin")
        path = self.path("data", data["name"], f"truth-{metric}-{data['rows']}.ibin")
        if not os.path.exists(path):
            subprocess.run([os.path.join(BENCH, "datasets"), "--cache", self.cache, "--programs"], check=True)
            say(f"exact neighbors among the first {data['rows']:,} of {data['name']}")
            subprocess.run([self.path("build", "datasets", "truth"), data["base"], data["queries"], metric, "100", path,
                            str(data["rows"])], check=True)
        return path

    # --- indexes -------------------------------------------------------------------------------------------------
    def index_name(self, spec):
        version = RIVALS["hnswlib-node" if spec["engine"] == "hnswlib" else "usearch"]
        if spec["engine"] == "cairn":
            version = self.cairn_key()
        extra = "".join(f"-{k}={spec[k]}" for k in ("traversal", "seed") if k in spec)
        return f"{spec['engine']}-{version}-m{spec['m']}-ef{spec['ef_construction']}{extra}"

    def index(self, data, metric, spec, rebuild=False):
        """Path and record of a built index: {"path", "record", "record_path"}."""
        folder = self.path("indexes", f"{data['name']}-{metric}" + (f"-{data['rows']}" if data["rows"] else ""))
        os.makedirs(folder, exist_ok=True)
        stem = os.path.join(folder, self.index_name(spec))
        if self.keep_cairn and spec["engine"] == "cairn" and not os.path.exists(stem + ".json"):
            mark, tail = self.cairn_key(), self.index_name(spec).split(self.cairn_key())[1]
            old = [f for f in os.listdir(folder) if f.startswith("cairn-") and f.endswith(tail + ".json")]
            if old:
                old.sort(key=lambda f: os.path.getmtime(os.path.join(folder, f)))
                stem = os.path.join(folder, old[-1][:-len(".json")])
                say(f"using {os.path.basename(stem)} although the library is now {mark}")
        record = read_json(stem + ".json")
        if record is None or rebuild or not os.path.exists(stem + ".index"):
            say(f"building {os.path.basename(folder)}/{os.path.basename(stem)}, {self.threads} threads")
            load = os.getloadavg()[0]
            record = self.run("build", {"spec": {**spec, "metric": metric}, "base": data["base"], "rows": data["rows"],
                                        "threads": self.threads, "path": stem + ".part"})
            os.replace(stem + ".part", stem + ".index")
            record["load_before"] = load
            record["recalls"] = {}
            write_json(stem + ".json", record)
            say(f"  {record['build_s']:.1f} s" + ("" if quotable(record) else " (others were at work: not to be quoted)"))
            if spec["engine"] == "cairn":
                self.forget_old(folder, os.path.basename(stem))
        return {"path": stem + ".index", "record": record, "record_path": stem + ".json"}

    def forget_old(self, folder, keep):
        """Removes Cairn indexes of the same parameters that older versions of the library built, but for the last two."""
        tail = keep.split(self.cairn_key())[1]
        old = [f[:-len(".index")] for f in os.listdir(folder) if f.startswith("cairn-") and f.endswith(tail + ".index")]
        old.sort(key=lambda f: os.path.getmtime(os.path.join(folder, f + ".index")))
        for stem in old[:-2]:
            for end in (".index", ".json"):
                if os.path.exists(os.path.join(folder, stem + end)):
                    os.remove(os.path.join(folder, stem + end))


def quotable(record):
    """Whether a build had the machine to itself: its threads were kept busy and nobody else was."""
    return record["busy"] >= 0.93 and record.get("load_before", 0) < 0.7
