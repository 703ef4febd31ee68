"""Checks that the examples and rules of the dialect's descriptions are tests.

Every line of every ```mlir block in dialect/*.td occurs in a round-trip test beside this file, and every rule "- C<n>:" of a
description is named "<mnemonic> C<n>" in one of the *-invalid.mlir files.
"""
import pathlib
import re
import sys

here = pathlib.Path(__file__).parent
source = here.parent.parent


def normalized(line):
    return " ".join(line.split())


valid, invalid = set(), ""
for path in sorted(here.glob("*.mlir")):
    if path.stem.endswith("-invalid"):
        invalid += path.read_text()
    else:
        valid |= {normalized(line) for line in path.read_text().splitlines()}
valid_text = "\n".join(sorted(valid))

problems, examples, rules = [], 0, 0
for path in sorted((source / "dialect").glob("*.td")):
    text = path.read_text()
    for block in re.findall(r"```mlir\n(.*?)```", text, re.S):
        for line in filter(None, map(normalized, block.splitlines())):
            if "}] #" in line or line.startswith("# !if"):
                continue  # a template of several ops; kernel-ops.mlir has them spelled out
            examples += 1
            # Attributes and types are written inside a larger line there.
            found = line in valid or (line[0] in "#!" and line in valid_text)
            if not found:
                problems.append(f"{path.name}: no round-trip test has the example line: {line}")
    # A definition runs to the next one.
    for definition in re.split(r"^def ", text, flags=re.M)[1:]:
        names = re.findall(r'Qlr_(?:\w+)<(?:"\w+", )?"(\w+)"', definition.split("{")[0].replace("\n", " "))
        if not names:
            continue
        description = re.search(r"let description = \[\{(.*?)\}\];", definition, re.S)
        listed = re.findall(r"^ *- (C\d+)(?: to (C\d+))?:", description.group(1), re.M) if description else []
        for first, last in listed:
            for number in range(int(first[1:]), int((last or first)[1:]) + 1):
                rules += 1
                if not re.search(rf"// {names[0]} C{number}\n", invalid):
                    problems.append(f"{path.name}: no negative test is called '{names[0]} C{number}'")

print("\n".join(problems) or f"{examples} example lines and {rules} rules are tests")
sys.exit(bool(problems))
