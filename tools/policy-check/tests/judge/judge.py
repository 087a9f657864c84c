"""Evaluates policies by another interpreter: rego-cpp, through its Python package regopy.

Reads one JSON object from standard input: {"folders": [{"package", "modules": {file: text}, "data", "questions":
[{"policy", "input", "settings"}]}]}. Writes a list of lists: for each question which rules deny, once for each denial, and what `allow` is.
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
    package = f"data.{folder['package']}.{policy}"
    # The rules alone: texts with quotation marks in them come out of the Python package broken.
    denials = f"[denial.rule | denial := {package}.deny[_]]"
    bundle = found.build(f'answer = [{denials}, object.get({package}, "allow", false)]', [])
    return found, bundle


def answer(found, bundle, question):
    found.set_input(question["input"])
    denials, allowed = found.query_bundle(bundle).results[0].bindings["answer"]
    return {
        "deny": sorted(denials),
        "allow": allowed is True,
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
