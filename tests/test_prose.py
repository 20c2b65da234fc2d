"""Docstrings, comments, messages and pages read as plain English: no house words, no inversions.

CONTRIBUTING.md has the vocabulary. A pattern here stands for a construction that has been in the
package and read as translated; what is wrong in one place only needs no pattern.
"""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: Each construction with what to write instead.
AVOIDED = {
    r"(?<!there )\b(is|are) no (finite |single )?(number|integer|string|array|list|layer|model"
    r"|callback|class|path|name|axis|function|tensor|optimizer|loss|file|JSON|data|weight|hook"
    r"|improvement)s?\b": "is not a ...",
    r"\bin the place of\b|\bin place of\b": "instead of",
    r"\b(identifier|custom_objects|value|name): (It|They)\b": "name the kinds of values",
    r"\b[Ll]ikewise\b": "repeat the words, or: as for `X`",
    r"\b(there|where)(of|in)\b": "its, in it",
    r"\banew\b": "again, or: a new",
    r"\bof (another|the wrong) kind\b": "has the wrong type",
    r"\bnothing of the kind\b": "is none of these",
    r"\bputs? out\b": "output, return",
    r"\bwhat gives (batches|them)\b": "an iterable of batches",
    r"\bfor Keras's sake\b": "for compatibility with Keras",
    r"\bof one's own\b": "your own",
    r"\b(one|an?) \w+ a (sample|batch|epoch|output|column|run)\b(?=[,.;:)])": "per",
    r"\bdecides on (this|the)\b.*\brate\b": "the learning rate is a schedule",
    r"\bdescends? by\b": "train with",
    r"\bwho(ever)? may be made\b|\bwhoever else\b": "name the subject",
    r"\b(way|ways) (in|out|back) (of|through|into|over)\b": "forward pass, backward pass",
    r"\bthe way (back|there)\b": "the backward pass, the forward pass",
    r"\b(door|doors|rooms)\b": "name the thing",
    r"\bwhose turn\b": "a lock, an order",
    r"\bis to (be|have|lie|hold)\b|\bare to (be|have|lie|hold)\b": "must",
    r"^(\"\"\"|#:? )(What|Whose|Which) (?!is this|to do)": "open with a verb or a name",
    r"^\W*Take in one batch\b": "Update the state with one batch",
    r"^\W*Be told\b": "open with what the method does",
    r"\bwhat (it|they) (is|are) called\b": "the name of ...",
    r"\b[Ww]here to say\b": "collects ...",
    r"\b(to|can) descend on\b": "minimize",
    r"\b([Ll]ets?|letting) go of\b": "drop",
    r"\b[Tt]akes? note of\b": "note, record",
    r"\bunder way\b": "current",
}


def prose_of_code(file):
    """Yield the lines of comments and of strings with blanks in them, with their numbers."""
    with tokenize.open(file) as lines:
        for token in tokenize.generate_tokens(io.StringIO(lines.read()).readline):
            kind = tokenize.tok_name[token.type]
            if kind == "COMMENT" or (kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string):
                for at, line in enumerate(token.string.split("\n")):
                    if not line.lstrip().startswith((">>>", "...")):
                        yield token.start[0] + at, line


def found(number_lines):
    """Return the number, the words and the advice of each line that has an avoided construction."""
    return [
        (number, match[0].strip(), advice)
        for number, line in number_lines
        for pattern, advice in AVOIDED.items()
        if (match := re.search(pattern, line))
    ]


def files_by_place():
    """Return the files of each package, each single module and each page."""
    places = {}
    for file in sorted((ROOT / "nnlite").rglob("*.py")):
        places.setdefault("/".join(file.relative_to(ROOT).parts[:2]), []).append(file)
    docs = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/tutorials").glob("*.md")])
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *docs]
    return places | {str(page.relative_to(ROOT)): [page] for page in pages}


def complaints(files):
    """Return a line for each avoided construction in files."""
    return [
        f"{file.relative_to(ROOT)}:{number}: {words!r}. Better: {advice}."
        for file in files
        for number, words, advice in found(
            prose_of_code(file)
            if file.suffix == ".py"
            else enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        )
    ]


@pytest.mark.parametrize("place", files_by_place())
def test_prose_reads_as_plain_english(place):
    assert complaints(files_by_place()[place]) == []


@pytest.mark.parametrize(
    ("line", "caught"),
    [
        ('"""What every loss does: check and average."""', True),
        ("TypeError: If ``axis`` is no integer.", True),
        ("the mean is taken in the place of the sum", True),
        ("    identifier: It.", True),
        ("a new array, no longer than the first; there is no need for a copy", False),
        ("TypeError: If ``axis`` is not an integer.", False),
        ("## What is promised", False),
    ],
)
def test_what_is_caught(line, caught):
    assert bool(found([(1, line)])) == caught
