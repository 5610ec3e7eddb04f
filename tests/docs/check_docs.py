#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether pages can be read: no sentence has more than 35 words, no line is wider than 120 characters.

  check_docs.py ROOT       the pages that are named below
  check_docs.py ROOT FILE...

Code, tables (width alone) and links (their targets) do not count. Prints FILE:LINE of each sentence and line that is too long.
"""
import pathlib
import re
import sys

PAGES = ["README.md", "SECURITY.md", "docs/README.md", "docs/algorithms.md", "docs/architecture.md", "docs/cli.md",
         "docs/contributing.md", "docs/debugging.md", "docs/migrating.md", "docs/performance.md", "docs/testing.md",
         "docs/guide/*.md", "docs/operate/*.md"]
WIDE = {f"docs/{name}.md" for name in ("algorithms", "architecture", "cli", "contributing")}  # lines may be wider
MOST_WORDS = 35
MOST_COLUMNS = 120


def paragraphs(text):
    """(first line, text) of each paragraph, list item, heading and table cell."""
    lines, start, in_code = [], 0, False
    for number, line in enumerate(text.splitlines(), 1):
        fence = line.lstrip().startswith("```")
        if fence or in_code or not line.strip():
            if lines:
                yield start, " ".join(lines)
            lines = []
            in_code = in_code != fence
            continue
        if line.startswith("|"):
            for cell in line.strip("|").split("|"):
                yield number, cell
            continue
        if lines and re.match(r"\s*([*-]|\d+\.) |#", line):
            yield start, " ".join(lines)
            lines = []
        if not lines:
            start = number
        lines.append(re.sub(r"^\s*([*-]|\d+\.) ", "", line).strip())
    if lines:
        yield start, " ".join(lines)


def sentences(text):
    text = re.sub(r"\]\([^)]*\)", "]", text)  # where a link leads
    text = re.sub(r"`[^`]*`", "code", text)   # as one word
    return re.split(r"(?<=[.!?])[*)\"]*\s+", text)


def problems_of(path, name):
    text = path.read_text(encoding="utf-8")
    for line, paragraph in paragraphs(text):
        for sentence in sentences(paragraph):
            words = len(re.findall(r"[^\s]*\w[^\s]*", sentence))
            if words > MOST_WORDS:
                yield f"{name}:{line}: {words} words: {sentence[:80]}..."
    if name in WIDE:
        return
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        in_code = in_code != line.lstrip().startswith("```")
        if len(line) > MOST_COLUMNS and not in_code and not line.startswith("|"):
            yield f"{name}:{number}: {len(line)} characters wide"


def main():
    root = pathlib.Path(sys.argv[1])
    names = sys.argv[2:] or sorted(str(path.relative_to(root)) for page in PAGES for path in root.glob(page))
    problems = [problem for name in names for problem in problems_of(root / name, name)]
    for problem in problems:
        print(problem)
    print(f"{len(names)} pages, {len(problems)} problems")
    sys.exit(1 if problems else 0)


main()
