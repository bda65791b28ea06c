"""Renames a standard library and programs that use it: every method, arch, optimizer, schedule, task and fn, their
parameters, `param`s, `state`s and `let`s, the modules that an arch or a task declares, and every file.

What stays is what the language itself says: keywords, builtins, kinds with their points and dims, the words that an optimizer
has in scope, checkpoint names (they are in strings), the prelude's file and the library's folders."""
import os
import random
import re
import string

TOKEN = re.compile(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|\d[\w.]*|\s+|.', re.S)
CALLABLE = ("method", "arch", "optimizer", "schedule", "task")
FIXED = {"lr", "step", "steps", "p", "g", "t", "cfg", "identity", "tokens", "words", "choices", "choice", "image", "answer"}  # the last: `at_init identity`, rows' encoders


def tokens(text):
    return TOKEN.findall(text)


def is_word(token):
    return re.fullmatch(r"[A-Za-z_]\w*", token) is not None


def is_space(token):
    return token.isspace() or token.startswith("//")


def after(words, place, count=1):
    """Index of the count-th token after place that is neither space nor comment; the last index if there is none."""
    while count and place + 1 < len(words):
        place += 1
        count -= not is_space(words[place])
    return place


def before(words, place):
    place -= 1
    while place > 0 and is_space(words[place]):
        place -= 1
    return words[place] if place >= 0 else ""


def closing(words, opening):
    depth = 0
    for place in range(opening, len(words)):
        depth += (words[place] in ("(", "[", "{")) - (words[place] in (")", "]", "}"))
        if depth == 0:
            return place
    raise ValueError("brackets do not balance")


def fields_of(words):
    """Places of the names of fields, which are the language's: `checkpoint { prefix = … }`, `run { batch = … }`."""
    places = set()
    for place, token in enumerate(words):
        if token in ("checkpoint", "example", "run") and words[after(words, place)] == "{":
            opening = after(words, place)
            places.update(at for at in range(opening, closing(words, opening)) if is_word(words[at]) and words[after(words, at)] == "=")
    return places


class Declaration:
    """One declaration's place in a text: [begin, end), its parameters."""

    def __init__(self, words, begin):
        self.word, self.begin = words[begin], begin
        named = after(words, begin)
        self.name, self.parameters, place = words[named], [], named
        if words[after(words, place)] == "(":
            opening = after(words, place)
            place, depth = closing(words, opening), 0
            for at in range(opening + 1, place):
                depth += (words[at] in "([{") - (words[at] in ")]}")
                if depth == 0 and is_word(words[at]) and words[after(words, at)] in (":", ",", ")", "=") and before(words, at) in ("(", ",", "const"):
                    self.parameters.append(words[at])
        while self.word not in ("fn", "schedule") and words[place] != "{":  # a body in braces …
            place += 1
        if self.word in ("fn", "schedule"):  # … or a value, up to the line's end or its closing brace
            place = after(words, place)
            while place < len(words) and not (words[place].isspace() and "\n" in words[place] and before(words, place) != "="):
                place = closing(words, place) + 1 if words[place] in "([{" else place + 1
            self.end = place
        else:
            self.end = closing(words, place) + 1


def declarations(words):
    found, depth, start = [], 0, True
    for place, token in enumerate(words):
        if depth == 0 and start and token in CALLABLE + ("fn",) and is_word(words[after(words, place)]):
            declared = Declaration(words, place)
            if words[after(words, place, 2)] != "." and (token != "task" or "{" in words[place:declared.end]):
                found.append(declared)
        depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
        start = "\n" in token if token.isspace() else start and is_space(token)
    return found


class Renaming:
    def __init__(self, library, seed):
        """library: {relative path: text}"""
        self.random, self.taken = random.Random(seed), set()
        whole = {path: tokens(text) for path, text in library.items()}
        self.fixed = set(FIXED)
        for words in whole.values():
            for place, token in enumerate(words):
                if token in ("kind", "module") and is_word(words[after(words, place)]) and (place == 0 or "\n" in words[place - 1]):
                    self.fixed.add(words[after(words, place)])
                    if token == "kind":
                        opening = after(words, place, 2)
                        self.fixed.update(filter(is_word, words[opening:closing(words, opening)]))
                if token.startswith('"'):
                    self.fixed.update(word for hole in re.findall(r"\{([^}]*)\}", token) for word in re.findall(r"[A-Za-z_]\w*", hole))
        for words in whole.values():  # what tasks read of an arch
            declared = list(declarations(words))
            arches = {name for each in declared if each.word == "arch" for name in self.locals(words, each)}
            self.fixed.update(arches & {token for other in whole.values() for task in declarations(other) if task.word == "task" for token in other[task.begin:task.end]})
        self.files = {}  # the library's, by folder and stem
        self.everywhere, self.keywords = {}, {}
        for words in whole.values():
            for declared in declarations(words):
                self.everywhere.setdefault(declared.name, None)
                self.keywords[declared.name] = declared.parameters if declared.word in CALLABLE else []
                if declared.word in ("arch", "task"):
                    for place in range(declared.begin, declared.end):
                        token, following = words[place], words[after(words, place)]
                        module = following == ":" and (words[after(words, place, 2)] in self.fixed | {"module"}) or following == "[" and words[place + 2:place + 4] == ["i", " "]
                        if is_word(token) and module and words[place - 1].isspace() and before(words, place) not in ("row", "input", "weight"):
                            self.everywhere.setdefault(token, None)
        self.everywhere = {name: self.fresh() for name in self.everywhere if name not in self.fixed}
        self.local = {}  # (declaration, name) -> new name
        for words in whole.values():
            for declared in declarations(words):
                for name in sorted(self.locals(words, declared)):
                    if name not in self.fixed:
                        self.local[declared.name, name] = self.fresh()

    def fresh(self):
        while True:
            name = "".join(self.random.choice(string.ascii_lowercase) for _ in range(7))
            if name not in self.taken:
                self.taken.add(name)
                return name

    @staticmethod
    def locals(words, declared):
        """Parameters (of a fn: only those that no caller names), `param`, `state` and `let` names."""
        names = set(declared.parameters)
        if declared.word == "fn":
            body = "".join(words[declared.begin:declared.end])
            names = {name for name in names if not re.search(rf"\b{name}\b[^,)]*=", body.split(")")[0])}
        for place in range(declared.begin, declared.end):
            if words[place] in ("param", "let", "state") and before(words, place) != ".":
                at = after(words, place)
                while words[at] in ("(", ",") or is_word(words[at]):
                    names.update([words[at]] if is_word(words[at]) else [])
                    at = after(words, at)
        return names

    def text(self, text):
        words = tokens(text)
        out = list(words)
        inside = {}
        for declared in declarations(words):
            inside.update({place: declared.name for place in range(declared.begin, declared.end)})
        fields = fields_of(words)
        for place, token in enumerate(words):
            if not is_word(token) or place in fields:
                continue
            local = self.local.get((inside.get(place), token))
            member = words[place - 1] == "." and words[place - 2] != "." and inside.get(place) is not None
            if token in self.everywhere:
                out[place] = self.everywhere[token]
            elif local and not member:
                out[place] = local
        for place, token in enumerate(words):  # names of arguments belong to what is called
            if token in self.keywords and words[after(words, place)] == "(":
                opening = after(words, place)
                depth = 0
                for at in range(opening + 1, closing(words, opening)):
                    depth += (words[at] in "([{") - (words[at] in ")]}")
                    if depth == 0 and words[at] in self.keywords[token] and words[after(words, at)] == "=" and before(words, at) in ("(", ","):
                        out[at] = self.local.get((token, words[at]), words[at])
        for place, token in enumerate(words):  # `use peft.arch.rope.{…}`: a file
            folder = "".join(words[place + 1:place + 5]).strip().removeprefix("peft.") if token == "use" else ""
            if folder in ("arch", "tasks"):
                stem = place + 6
                out[stem] = self.files.get((folder, words[stem]), words[stem])
        return "".join(out)


def rename_library(source, target, seed, programs):
    """Names of the library and of `programs` ({path: text}). Writes a renamed copy of the library; returns the Renaming and {old file: new file}."""
    library = {}
    for folder, _, names in os.walk(source):
        for name in names:
            if name.endswith(".peft"):
                path = os.path.join(folder, name)
                with open(path) as file:
                    library[os.path.relpath(path, source)] = file.read()
    renaming = Renaming({**library, **programs}, seed)
    moved = {}
    for path in sorted(library):
        moved[path] = path if path == "prelude.peft" else os.path.join(os.path.dirname(path), renaming.fresh() + ".peft")
        renaming.files[os.path.split(path[:-5])] = os.path.basename(moved[path])[:-5]
    for path, new in moved.items():
        os.makedirs(os.path.dirname(os.path.join(target, new)) or target, exist_ok=True)
        with open(os.path.join(target, new), "w") as file:
            file.write(renaming.text(library[path]))
    return renaming, moved
