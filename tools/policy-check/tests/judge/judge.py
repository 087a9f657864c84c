"""Evaluates policies by another interpreter: rego-cpp, through its Python package regopy.

Reads one JSON object from standard input: {"folders": [{"package", "modules": {file: text}, "data", "questions":
[{"policy", "input", "settings"}]}]}. Writes a list of lists: for each question what `deny` (sorted) and `allow` are.
"""

import json
import sys

import regopy


def interpreter(folder, policy, settings):
    """The policies of a folder with these settings in place of the policy's own, ready to be asked about it."""
    found = regopy.Interpreter()
    for file, text in folder["modules"].items():
        found.add_module(file, text)
    data = dict(folder["data"])
    if settings is not None:
        data[policy] = settings
    found.add_data(data)
    bundle = found.build(f"answer = data.{folder['package']}.{policy}", [])
    return found, bundle


def answer(found, bundle, question):
    found.set_input(question["input"])
    package = found.query_bundle(bundle).results[0].bindings["answer"]
    denials = package.get("deny", [])
    return {
        "deny": sorted(denials, key=lambda denial: json.dumps(denial, sort_keys=True)),
        "allow": package.get("allow", False) is True,
    }


def main():
    asked = json.load(sys.stdin)
    answers = []
    for folder in asked["folders"]:
        ready = {}
        of_folder = []
        for question in folder["questions"]:
            key = (question["policy"], json.dumps(question["settings"], sort_keys=True))
            if key not in ready:
                ready[key] = interpreter(folder, question["policy"], question["settings"])
            of_folder.append(answer(*ready[key], question))
        answers.append(of_folder)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
