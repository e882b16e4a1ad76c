"""Which programs a bash script starts, found by reading it: also those that no test runs.

Knows the bash that our scripts use. What it does not know (backticks, `eval`, `bash -c`, `xargs`)
comes out as a command of its own, for a test to refuse.
"""

import re
from collections.abc import Iterator
from pathlib import PurePath

Command = list[str]
"""A simple command's words, quotes removed; a substitution in a word is left out."""

KEYWORDS = "if then elif else fi while until do done { } ! time"
BUILTINS = (
    ": [ [[ alias break case cd continue declare echo exec exit export false for getopts kill local"
    " mapfile printf read readonly return set shift shopt source test trap true type ulimit umask"
    " unset wait"
)
"""Of bash, and the words after which no program follows at once."""

_REDIRECTION = re.compile(r"&>>?|<<<|<<-?|<>|[<>]&|>>|>\||[<>]")
_ASSIGNMENT = re.compile(r"\w+(\[[^]]*\])?\+?=")
_END_OF_WORD = " \t\n;&|<>()"


def calls(script: str, functions: frozenset[str] = frozenset()) -> Iterator[tuple[str, Command]]:
    """Each start of a program: its name, without a folder unless it is /opt/bin, and all words of
    the command, the name first."""
    reader = _Reader(script)
    reader.read()
    for command in reader.commands:
        yield from _calls(command, functions | reader.functions)


def _calls(command: Command, functions: frozenset[str]) -> Iterator[tuple[str, Command]]:
    name, *rest = command
    path = PurePath(name)
    if path.is_absolute() and path.parent.name in ("bin", "sbin") and "opt" not in path.parts:
        name = path.name
    if name not in functions | set(BUILTINS.split()):
        yield name, [name, *rest]
    match name:
        case "exec":
            started = rest
        case "env":
            started = [word for word in rest if not _ASSIGNMENT.match(word)]
        case "timeout":
            started = [word for word in rest if not word.startswith("-")][1:]
        case "trap":
            yield from calls(rest[0], functions)
            return
        case _:
            return
    if started:
        yield from _calls(started, functions)


class _Reader:
    """Reads a script from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.commands: list[Command] = []
        self.functions: set[str] = set()
        self._documents: list[tuple[str, bool]] = []
        """The here-documents that begin after this line: their last line, and whether substitutions
        in them count."""

    def read(self, closing: str = "") -> bool:
        """Commands up to `closing`: `)`, or `;;` in a case. False at a case's `esac`."""
        words: Command = []

        def finish() -> None:
            if words:
                self.commands.append(words.copy())
                words.clear()

        while self.at < len(self.text):
            if self._skips_white_space():
                continue
            if closing and self._skips(closing):
                finish()
                return True
            if self.text[self.at] == "#":
                self._skip_comment()
            elif self._skips("\n"):
                finish()
                self._read_documents()
            elif words in ([], ["for"]) and self._skips("(("):
                self._arithmetic()
            elif self._looking_at("()") and len(words) == 1:
                self.functions.add(words.pop())
                self.at += 2
            elif redirection := self._redirection():
                self._redirect(redirection)
            elif self.text[self.at] in ";&|(":
                finish()
                subshell = self.text[self.at] == "("
                self.at += 1
                if subshell:
                    self.read(")")
            else:
                word = self._word()
                if re.fullmatch(r"\d+|\{\w+\}", word) and self._redirection():
                    continue  # the number of what is redirected
                if words or not (word in KEYWORDS.split() or _ASSIGNMENT.match(word)):
                    words.append(word)
                match words:
                    case ["[["]:
                        self._test()
                    case ["esac"] if closing == ";;":
                        return False
                    case ["case"]:
                        words.clear()
                        self._case()
        finish()
        assert not closing, f"no {closing} at the end"
        return True

    def _case(self) -> None:
        self._skip_to(" in")
        more = True
        while more:
            while self._skips_white_space() or self._skips("\n"):
                pass
            if self._skips("esac"):
                return
            self._skip_to(")")  # the pattern
            more = self.read(";;")

    def _redirect(self, operator: str) -> None:
        self.at += len(operator)
        self._skips_white_space()
        quoted = self.text[self.at] in "'\""
        target = self._word()
        if operator in ("<<", "<<-"):
            self._documents.append((target, not quoted))

    def _redirection(self) -> str:
        if self._looking_at("<(") or self._looking_at(">("):
            return ""
        found = _REDIRECTION.match(self.text, self.at)
        return found[0] if found else ""

    def _read_documents(self) -> None:
        for end, counts in self._documents:
            found = re.compile(rf"^\t*{re.escape(end)}$", re.MULTILINE).search(self.text, self.at)
            assert found, f"no {end}"
            while counts and self.at < found.start():
                self._piece()
            self.at = found.end()
        self._documents.clear()

    def _word(self) -> str:
        word = ""
        while self.at < len(self.text):
            here = self.text[self.at]
            if here == "(" and re.fullmatch(_ASSIGNMENT, word):
                self._array()
            elif here in "<>" and self._looking_at("(", 1):
                self.at += 2
                self.read(")")
            elif here in _END_OF_WORD:
                break
            else:
                word += self._part()
        return word

    def _array(self) -> None:
        self.at += 1
        while not self._skips(")"):
            if self.text[self.at] == "#":
                self._skip_comment()
            elif not (self._skips_white_space() or self._skips("\n")):
                self._word()

    def _part(self) -> str:
        """Something in quotes, or a piece of what is not."""
        part = ""
        if self._skips("'"):
            part = self._skip_to("'")
        elif self._skips('"'):
            while not self._skips('"'):
                part += self._piece()
        else:
            part = self._piece()
        return part

    def _test(self) -> None:
        while not self._skips(" ]]"):
            self._part()

    def _arithmetic(self) -> None:
        while not self._skips("))"):
            if self._skips("("):
                while not self._skips(")"):
                    self._piece()
            else:
                self._piece()

    def _piece(self) -> str:
        """A character, or what stands for others and may start programs."""
        if self._skips("$(("):
            self._arithmetic()
        elif self._skips("$("):
            self.read(")")
        elif self._skips("${"):
            while not self._skips("}"):
                self._piece()
        elif self._skips("\\"):
            self.at += 1
            return self.text[self.at - 1]
        else:
            self.at += 1
            return self.text[self.at - 1]
        return ""

    def _looking_at(self, text: str, ahead: int = 0) -> bool:
        return self.text.startswith(text, self.at + ahead)

    def _skips(self, text: str) -> bool:
        found = self._looking_at(text)
        self.at += len(text) if found else 0
        return found

    def _skips_white_space(self) -> bool:
        return self._skips(" ") or self._skips("\t") or self._skips("\\\n")

    def _skip_comment(self) -> None:
        end = self.text.find("\n", self.at)
        self.at = end if end >= 0 else len(self.text)

    def _skip_to(self, end: str) -> str:
        """Go on behind the next `end`; return what is before it."""
        found = self.text.find(end, self.at)
        assert found >= 0, f"no {end}"
        skipped = self.text[self.at : found]
        self.at = found + len(end)
        return skipped
