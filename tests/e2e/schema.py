"""Holds JSON answers against share/asyncmon/asyncmon-1.schema.json."""
import json
import os

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.path.join(HERE, "..", "..", "share", "asyncmon", "asyncmon-1.schema.json")
ALIASES = {"p": "ps", "w": "where", "pst": "ps-terminated", "pt": "ps-terminated",
           "wt": "where-terminated", "st": "stacktrace", "stack": "stacktrace", "ca": "cancel"}
# Of longer lists so many items are held, and trees to that depth: validating takes
# milliseconds a task.
MOST, DEEPEST = 40, 40


def closed(schema):
    """The same, but without room for keys that it does not name. Readers are promised that
    keys may be added; what is printed must be described."""
    if isinstance(schema, list):
        return [closed(x) for x in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: closed(v) for k, v in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        out.setdefault("additionalProperties", False)
    return out


with open(PATH) as f:
    SCHEMA = json.load(f)
VALIDATOR = jsonschema.Draft202012Validator(dict(closed(SCHEMA), anyOf=[True]))


def thinned(value, depth=0):
    if isinstance(value, dict):
        return {k: thinned(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        if depth > DEEPEST:
            return []
        step = max(1, len(value) // MOST)
        return [thinned(x, depth + 1) for x in value[::step]]
    return value


def name_of(words, answer):
    """What of the schema it must be: by the first word that is a command."""
    if "error" in answer:
        return "failure"
    known = [ALIASES.get(str(w), str(w)) for w in words]
    return next(w for w in known if w in SCHEMA["$defs"])


def hold(words, answer):
    """Fails where it is not what the schema says of an answer to that call."""
    parts = [answer]
    if "answers" in answer:
        parts = answer["answers"]
        assert answer == {"format": 1, "answers": parts}, sorted(answer)
    for part in map(thinned, parts):
        name = name_of(words, part)
        errors = VALIDATOR.descend(part, {"$ref": "#/$defs/" + name})
        said = ["%s: %s" % ("/".join(map(str, e.absolute_path)), e.message[:300])
                for _, e in zip(range(5), (leaf for e in errors for leaf in leaves(e)))]
        assert not said, "%s does not fit %s:\n%s\n%.2000s" % (name, os.path.basename(PATH), "\n".join(said), part)


def leaves(error):
    """Of a choice that nothing fits, what the non-null ways complain about."""
    if not error.context:
        return [error]
    inner = [leaf for e in error.context if not (e.validator == "type" and e.validator_value == "null")
             for leaf in leaves(e)]
    return inner or [error]


def hold_text(words, text):
    """The same of what was printed. `run` prints what its program prints; trees may be too
    deep for Python's parser."""
    if "trace" in words:
        for line in text.splitlines():
            hold(words, json.loads(line))
        return
    if not text.strip() or ("run" in words and not text.startswith('{"format":')):
        return
    if "stalls" in words and text.startswith('{"format":1,"event"'):
        for line in text.splitlines():
            hold(words, json.loads(line))
        return
    try:
        answer = json.loads(text)
    except RecursionError:
        return
    hold(words, answer)
