// TextHelperScript: the Python text that a TextHelper runs, carried inside the runner so that a trainer stays one file.
#include "runtime/data/TextHelperScript.h"

namespace peftrt {

const char *const kTextHelperScript = R"PYTHON(
"""Answers questions about a tokenizer, a line of JSON each: {"encode": texts}, {"decode": lists of ids}, {"chat": conversations} -> lists of ids, texts, lists of ids;
or {"error": what, "code": R-code}.

usage: python -c SCRIPT MODEL_FOLDER
Exit status 3: the `tokenizers` library is not installed.
"""
import json
import os
import sys

try:
    from tokenizers import Tokenizer
except ImportError:
    sys.exit(3)


class Refused(Exception):
    pass


def content_of(value):
    return value["content"] if isinstance(value, dict) else value


def chat_template(folder):
    path = os.path.join(folder, "chat_template.jinja")
    config = {}
    if os.path.exists(os.path.join(folder, "tokenizer_config.json")):
        with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as file:
            config = json.load(file)
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            text = file.read()
    else:
        text = config.get("chat_template")
    if isinstance(text, list):
        text = next((one["template"] for one in text if one.get("name") == "default"), None)
    if not text:
        raise Refused("the checkpoint has no chat template: neither chat_template.jinja nor `chat_template` in tokenizer_config.json")
    try:
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise Refused("chat templates need the `jinja2` library beside `tokenizers`")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise Refused("the chat template says: " + message)

    environment.globals["raise_exception"] = raise_exception
    names = {name: content_of(value) for name, value in config.items() if name.endswith("_token") and value}
    template = environment.from_string(text)
    return lambda messages: template.render(messages=messages, add_generation_prompt=True, **names)


def main(folder):
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    template = None

    def answer(question):
        nonlocal template
        if "encode" in question:
            return [encoding.ids for encoding in tokenizer.encode_batch(question["encode"])]
        if "decode" in question:
            return tokenizer.decode_batch(question["decode"])
        template = template or chat_template(folder)
        return [encoding.ids for encoding in tokenizer.encode_batch([template(chat) for chat in question["chat"]], add_special_tokens=False)]

    for line in sys.stdin.buffer:
        try:
            said = answer(json.loads(line))
        except Refused as refused:
            said = {"error": str(refused), "code": "R0112"}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}", "code": "R0141"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


main(sys.argv[1])
)PYTHON";

} // namespace peftrt
