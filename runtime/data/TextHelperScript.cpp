// TextHelperScript: the Python text that a TextHelper runs, carried inside the runner so that a trainer stays one file.
#include "runtime/data/TextHelperScript.h"
#include "runtime/data/ChatTemplateScript.h"

namespace peftrt {

namespace {

constexpr auto kText = joined(kChatTemplate, R"PYTHON(
"""Answers questions about a tokenizer, a line of JSON each: {"encode": texts}, {"decode": lists of ids}, {"chat": lists of {messages, tools}} -> lists of ids, texts, lists of ids;
or {"error": what, "code": R-code, "row": which of the conversations}.

usage: python -c SCRIPT MODEL_FOLDER
Exit status 3: the `tokenizers` library is not installed.
"""
import sys

try:
    from tokenizers import Tokenizer
except ImportError:
    sys.exit(3)


def main(folder):
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    template, row = None, None

    def answer(question):
        nonlocal template, row
        row = None
        if "encode" in question:
            return [encoding.ids for encoding in tokenizer.encode_batch(question["encode"])]
        if "decode" in question:
            return tokenizer.decode_batch(question["decode"])
        template = template or ChatTemplate(folder)
        texts = []
        for row, chat in enumerate(question["chat"]):
            texts.append(template.render(chat["messages"], chat.get("tools"), answer=True))
        return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]

    for line in sys.stdin.buffer:
        try:
            said = answer(json.loads(line))
        except NoTemplate as error:
            said = {"error": str(error), "code": "R0112"}
        except Refused as error:
            said = {"error": str(error), "code": "R0145", "row": row}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}", "code": "R0141"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


main(sys.argv[1])
)PYTHON");

} // namespace

const char *const kTextHelperScript = kText.data();

} // namespace peftrt
