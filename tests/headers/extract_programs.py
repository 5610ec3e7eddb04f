#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the blocks of a Markdown file that are marked ```cpp or ```c as programs, and prints their paths for CMake."""
import pathlib
import re
import sys

text, folder = pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2])
blocks = re.findall(r"^```(cpp|c)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
if not blocks:
    sys.exit(f"{sys.argv[1]} shows no program")
paths = []
for number, (language, program) in enumerate(blocks, 1):
    path = folder / f"readme_{number}.{'cc' if language == 'cpp' else 'c'}"
    if not path.exists() or path.read_text() != program:
        path.write_text(program)
    paths.append(str(path))
print(";".join(paths))
