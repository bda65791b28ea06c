// ChatTemplateScript: the Python text by which helpers render conversations; it stands in front of their own.
//
// Which stretches of a conversation the assistant said is what a template marks as `{% generation %}`. Of one without marks each turn is found by rendering
// the conversation up to it and with it: both must be beginnings of the whole, else there is no telling, and the row is refused.
// The day is not told to a template (`strftime_now`): the same rows are the same tokens tomorrow.
#pragma once
#include <array>
#include <cstddef>

namespace peftrt {

constexpr char kChatTemplate[] = R"PYTHON(
import json
import os
import re

BEGIN, END = "\ufdd0", "\ufdd1"  # no characters: Unicode keeps them out of texts that are handed on


class NoTemplate(Exception):
    """The checkpoint has no chat template that can be used."""


class Refused(Exception):
    """The template does not take the conversation, or does not tell which part of it is the assistant's."""


def read_config(folder):
    path = os.path.join(folder, "tokenizer_config.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def template_texts(folder, config):
    """Templates by name; `default` is the one without a name."""
    given = config.get("chat_template")
    texts = {one["name"]: one["template"] for one in given} if isinstance(given, list) else {"default": given} if given else {}
    more = os.path.join(folder, "additional_chat_templates")
    files = {"default": os.path.join(folder, "chat_template.jinja")}
    files.update({name[:-len(".jinja")]: os.path.join(more, name) for name in (sorted(os.listdir(more)) if os.path.isdir(more) else ()) if name.endswith(".jinja")})
    for name, path in files.items():
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                texts[name] = file.read()
    return texts


def environment():
    try:
        from jinja2 import nodes
        from jinja2.ext import Extension, loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise NoTemplate("chat templates need the `jinja2` library beside `tokenizers`")

    class Generation(Extension):
        """What stands in `{% generation %}` stands between BEGIN and END."""
        tags = {"generation"}

        def parse(self, parser):
            self.environment.marked = True
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            return nodes.CallBlock(self.call_method("mark"), [], [], body).set_lineno(line)

        def mark(self, caller):
            return BEGIN + caller() + END

    def raise_exception(message):
        raise Refused(f"the chat template says: {message}")

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = lambda value, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    made.globals["raise_exception"] = raise_exception
    return made


class ChatTemplate:
    def __init__(self, folder, specials=()):
        config = read_config(folder)
        texts = template_texts(folder, config)
        if not texts.get("default"):
            raise NoTemplate("the checkpoint has no chat template: neither chat_template.jinja nor `chat_template` in tokenizer_config.json")
        made, self.templates, self.marks = environment(), {}, {}
        for name in texts.keys() & {"default", "tool_use"}:
            made.marked = False
            try:
                self.templates[name] = made.from_string(texts[name])
            except Exception as error:
                raise NoTemplate(f"the chat template cannot be read: {type(error).__name__}: {error}")
            self.marks[name] = made.marked
        self.names = {name: value["content"] if isinstance(value, dict) else value for name, value in config.items() if name.endswith("_token") and value}
        self.specials = tuple(specials)

    def _name(self, tools):
        return "tool_use" if tools and "tool_use" in self.templates else "default"

    def _raw(self, messages, tools, answer):
        if any(mark in json.dumps(messages, ensure_ascii=False) for mark in (BEGIN, END)):
            raise Refused("it holds U+FDD0 or U+FDD1, which are no characters")
        try:
            return self.templates[self._name(tools)].render(messages=messages, tools=tools or None, documents=None, add_generation_prompt=answer, **self.names)
        except Refused:
            raise
        except Exception as error:
            raise Refused(f"the chat template fails: {type(error).__name__}: {error}")

    def render(self, messages, tools=None, answer=False):
        """The text; `answer`: up to where the assistant answers."""
        return self._raw(messages, tools, answer).replace(BEGIN, "").replace(END, "")

    def learned(self, messages, tools=None):
        """The text, and as (begin, end) in characters what of it the assistant said; of a conversation without the assistant, up to where it answers."""
        turns = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
        if not turns:
            return self.render(messages, tools, answer=True), []
        return self._marked(messages, tools, turns) if self.marks[self._name(tools)] else self._by_beginnings(messages, tools, turns)

    def _marked(self, messages, tools, turns):
        pieces = re.split(f"([{BEGIN}{END}])", self._raw(messages, tools, False))
        text, spans, open_at = "", [], []
        for piece in pieces:
            if piece == BEGIN:
                open_at.append(len(text))
            elif piece == END:
                spans.append((open_at.pop(), len(text)))
            else:
                text += piece
        spans = [span for span in spans if span[0] < span[1]]
        if len(spans) < len(turns):
            raise Refused(f"it has {len(turns)} turns of the assistant, and the chat template marks {len(spans)} as `generation`")
        return text, spans

    def _by_beginnings(self, messages, tools, turns):
        whole, spans = self.render(messages, tools), []
        for place in turns:
            before, with_it = self.render(messages[:place], tools, answer=True), self.render(messages[:place + 1], tools)
            why = (f"the assistant's message {place + 1} does not begin where the chat template has the assistant answer" if not with_it.startswith(before) else
                   f"the chat template writes its first {place + 1} messages in another way when more follow" if not whole.startswith(with_it) else "")
            if why:
                raise Refused(f"{why}, and it marks nothing as `generation`: what the assistant said cannot be told from the rest")
            spans.append((len(before), self._end(whole, len(before), len(with_it))))
        return whole, spans

    def _end(self, text, begin, end):
        """Behind the token that ends a turn, white space is the template's."""
        said = text[begin:end].rstrip()
        return begin + len(said) if said.endswith(self.specials) else end
)PYTHON";

/// A text behind another one, as a compiler makes them one.
template <size_t A, size_t B> constexpr std::array<char, A + B - 1> joined(const char (&first)[A], const char (&second)[B]) {
  std::array<char, A + B - 1> text{};
  for (size_t place = 0; place + 1 < A; ++place)
    text[place] = first[place];
  for (size_t place = 0; place < B; ++place)
    text[A - 1 + place] = second[place];
  return text;
}

} // namespace peftrt
