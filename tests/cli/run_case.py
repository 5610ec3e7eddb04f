#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one command-line test: run_case.py CAIRN WORDS FILE.case

A case is a text file of sections, each begun by a line "--- NAME"; what stands before the first says what it shows.

  --- needs     shell script that fails where the case cannot be run: it is skipped then (exit code 77)
  --- setup     shell script that prepares the scratch folder; it must succeed
  --- cmd       shell script whose output is checked
  --- exit      its exit code (0 if the section is missing)
  --- stdout    its standard output; in a line, * stands for any text; the line ... stands for any lines
  --- stderr    the same; both must be empty if the section is missing, except that `json` stands for stdout
  --- json      Python expressions, one a line, that must hold for `doc`, the JSON document on standard output

The scripts run under bash in an empty folder, with `cairn` and `make_vectors` in the PATH, $DATA naming
tests/data, and $WORDS an index of its words, for reading and copying.
"""
import json
import math
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SECTIONS = {"needs", "setup", "cmd", "exit", "stdout", "stderr", "json"}


def read_case(path):
    sections = {}
    name = None
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("--- "):
            name = line[4:].strip()
            if name not in SECTIONS or name in sections:
                sys.exit(f"{path}: unknown or repeated section '{name}'")
            sections[name] = []
        elif name is not None:
            sections[name].append(line)
    if "cmd" not in sections:
        sys.exit(f"{path}: no cmd")
    return sections


def pattern(lines):
    """One regular expression for the whole text."""
    parts = []
    for line in lines:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(part) for part in line.split("*")) + "\n")
    return re.compile("".join(parts))


def check_text(problems, name, wanted, got):
    if not pattern(wanted).fullmatch(got):
        problems.append(f"{name} is\n{got}\nwanted\n" + "\n".join(wanted))


def check_json(problems, expressions, got):
    try:
        doc = json.loads(got, parse_constant=lambda text: sys.exit(f"{text} is not JSON"))
    except ValueError as error:
        problems.append(f"stdout is not JSON ({error}):\n{got}")
        return
    for expression in filter(None, expressions):
        try:
            holds = eval(expression, {"math": math}, {"doc": doc})  # our own test files
        except Exception as error:
            holds = error
        if holds is not True:
            problems.append(f"{expression}: {holds!r}, for\n{got}")


def run(script, folder, environment):
    return subprocess.run(
        ["bash", "-c", "set -eu -o pipefail\n" + script],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")


def main():
    cairn, words = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    path = pathlib.Path(sys.argv[3])
    case = read_case(path)
    problems = []
    with tempfile.TemporaryDirectory(prefix="cairn-cli-") as scratch:
        tools, folder = pathlib.Path(scratch, "bin"), pathlib.Path(scratch, "work")
        tools.mkdir()
        folder.mkdir()
        (tools / "cairn").symlink_to(cairn)
        make_vectors = tools / "make_vectors"
        make_vectors.write_text(
            f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'make_vectors.py'))} \"$@\"\n")
        make_vectors.chmod(0o755)
        environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", DATA=str(HERE.parent / "data"),
                           WORDS=str(words), LC_ALL="C")

        if "needs" in case and run("\n".join(case["needs"]), folder, environment).returncode != 0:
            print(f"{path.name}: skipped")
            sys.exit(77)
        if "setup" in case:
            setup = run("\n".join(case["setup"]), folder, environment)
            if setup.returncode != 0:
                sys.exit(f"{path.name}: setup failed with {setup.returncode}\n{setup.stdout}{setup.stderr}")
        result = run("\n".join(case["cmd"]), folder, environment)

    wanted_exit = int("".join(case.get("exit", ["0"])).strip())
    if result.returncode != wanted_exit:
        problems.append(f"exit code is {result.returncode}, wanted {wanted_exit}")
    if "json" in case:
        check_json(problems, case["json"], result.stdout)
    if "stdout" in case or "json" not in case:
        check_text(problems, "stdout", case.get("stdout", []), result.stdout)
    check_text(problems, "stderr", case.get("stderr", []), result.stderr)
    if problems:
        sys.exit(f"{path.name}: " + "\n".join(problems) + f"\n(stderr was)\n{result.stderr}")
    print(f"{path.name}: ok")


main()
