"""The fenced blocks of the README and the documentation, and what checks or runs a block of each language."""

import ast
import functools
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import typer
import yaml
from in_process import threea

from threea_spark import ReleaseConfig
from threea_spark.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        *(
            ROOT / name
            for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/README.md", "threea_spark/SKILL.md")
        ),
        *(ROOT / "docs").glob("*.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXECUTED = re.compile(r"<!-- (?:[\w ]+: )?(?:executed by )?(tests/[\w/]+\.py)")  # a mark: this test runs what follows
END = re.compile(r"<!-- end of ")
SAME = {"bash": "sh", "shell": "sh", "yml": "yaml"}
LANGUAGES = {"python", "sh", "yaml", "sql", "text"}
PROGRAMS = {"pip", "sed", "cd", "export", "databricks", "docker", "kubectl", "env/bin/pip", "env/bin/venv-pack", "open"}
EXTRAS = re.compile(r"(?:threea[-_]spark[\w.-]*|\./)\[([\w,]+)\]")
SECTIONS = set(ReleaseConfig.model_fields)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it is, its language and text, and the test that a mark above it names, if any."""

    page: Path
    line: int
    language: str
    text: str
    executed_by: str | None

    @property
    def place(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@functools.cache
def blocks_of(page):
    """All blocks of a page; a mark holds up to `<!-- end of ... -->`, or to the end of the page."""
    text, found = page.read_text(), []
    for match in FENCE.finditer(text):
        before = END.split(text[: match.start()])[-1]
        marks = EXECUTED.findall(before)
        line = text.count("\n", 0, match.start()) + 1
        language = SAME.get(match.group(1), match.group(1))
        found.append(Block(page, line, language, match.group(2), marks[-1] if marks else None))
    return found


def commands_of(text):
    """The commands of a shell block, as lists of words: lines that end in a backslash go on, comments are none."""
    lines = text.replace("\\\n", " ").splitlines()
    split = (shlex.split(line, comments=True) for line in lines)
    return [words for words in split if words]


def problem_of_command(words):
    """What is wrong with a command, or None: whether it would be understood, without running it."""
    program, *arguments = words
    if program == "threea":
        return problem_of_threea(arguments)
    if program == "pip":
        project = (ROOT / "pyproject.toml").read_text()
        extras = [name for word in arguments for found in EXTRAS.findall(word) for name in found.split(",")]
        missing = [name for name in extras if f"\n{name} = [" not in project]
        return f"there is no extra {missing}" if missing else None
    if program == "make":
        missing = [
            name for name in arguments if "=" not in name and f"\n{name}:" not in (ROOT / "Makefile").read_text()
        ]
        return f"the Makefile has no {missing}" if missing else None
    if program == "spark-submit":  # its own options come first
        arguments = arguments[next((place for place, word in enumerate(arguments) if word.endswith(".py")), 0) :]
    if program in ("python", "spark-submit", "bash") or ("/" in program and (ROOT / program).is_file()):
        return problem_of_script(arguments if program in ("python", "spark-submit", "bash") else words)
    return None if program in PROGRAMS else f"{program} is not known here: add it to PROGRAMS, or fence as ```text"


def problem_of_threea(arguments):
    """Parses a command as the command line would, without running it."""
    command, name = typer.main.get_command(app), "threea"
    context = None
    try:
        while True:
            context = command.make_context(name, list(arguments), parent=context)
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not hasattr(command, "commands") or not rest:
                return None
            name, command, arguments = command.resolve_command(context, rest)
    except Exception as error:  # whatever the parser says of it
        if getattr(error, "exit_code", None) == 0:  # --help
            return None
        said = error.format_message() if hasattr(error, "format_message") else error
        return f"threea {name}: {said}"


def problem_of_script(arguments):
    """A script that is there, and options that it, or a module beside it, declares."""
    if arguments[:1] == ["-m"]:
        return None
    script = ROOT / arguments[0]
    if not script.is_file():
        return f"there is no {arguments[0]}"
    own = arguments[1 : arguments.index("--")] if "--" in arguments else arguments[1:]
    options = {word.split("=")[0] for word in own if word.startswith("--")}
    known = "\n".join(path.read_text() for path in {script, *script.parent.glob("*.py")})
    known += (ROOT / "threea_spark/cli/release.py").read_text()
    unknown = [name for name in options if f'"{name}"' not in known and f"{name[2:].replace('-', '_')}:" not in known]
    unknown = [name for name in unknown if name not in script.read_text()]
    return f"{arguments[0]} has no option {unknown}" if unknown else None


def problem_of_shell(text):
    """What bash says of a block's syntax, or what is wrong with its first bad command."""
    parsed = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if parsed.returncode:
        return parsed.stderr
    return next(filter(None, map(problem_of_command, commands_of(text))), None)


def problem_of_yaml(text):
    """Reads a block as a configuration; what it leaves out comes from the whole one of docs/configuration.md."""
    content = yaml.safe_load(text)
    if not set(content) <= SECTIONS:
        return None if set(content).isdisjoint(SECTIONS) else f"{sorted(set(content) - SECTIONS)} are no sections"
    whole = whole_configuration(content)
    given = {**content, "privacy": {**whole.get("privacy", {}), **content.get("privacy", {})}}
    ReleaseConfig.from_dict({**whole, **given})
    return None


def whole_configuration(content):
    """The first complete configuration of the documentation, or nothing where a block is complete itself."""
    needed = {"source", "target", "privacy", "domain"}
    if needed <= set(content):
        return {}
    texts = (block.text for block in blocks_of(ROOT / "docs" / "configuration.md") if block.language == "yaml")
    return next(found for found in map(yaml.safe_load, texts) if needed <= set(found))


def needs_spark(block):
    """Whether Python uses `spark`, which a notebook and `build_session` give."""
    return any(isinstance(node, ast.Name) and node.id == "spark" for node in ast.walk(ast.parse(block.text)))


def run_python(block, names):
    """Runs a block in a namespace, as the next cell of a notebook would."""
    exec(compile(block.text, block.place, "exec"), names)


def run_shell(text, folder):
    """Runs the commands of a block in a folder: `threea` in this process, scripts in one of their own."""
    for words in commands_of(text):
        program, *arguments = words
        if program == "threea":
            done = threea(*arguments, cwd=folder)
        else:
            assert program == "python", program
            command = [sys.executable, str(ROOT / arguments[0]), *arguments[1:]]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
