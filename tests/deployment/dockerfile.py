"""A reader of Dockerfiles, and the rules that ours keeps."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

SECRET_NAMES = re.compile(r"(KEY|TOKEN|PASSWORD|SECRET)\b")
EXEC_FORM = ("ENTRYPOINT", "CMD", "VOLUME")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    keyword: str
    arguments: str


def instructions(text: str) -> list[Instruction]:
    """Read a Dockerfile: comments dropped, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    steps = (line.strip().partition(" ") for line in joined.splitlines())
    return [Instruction(keyword.upper(), " ".join(rest.split())) for keyword, _, rest in steps]


def stages(text: str) -> list[list[Instruction]]:
    """Split a Dockerfile at each FROM, which is the first instruction of its stage."""
    split: list[list[Instruction]] = []
    for step in instructions(text):
        if step.keyword == "FROM":
            split.append([])
        if split:
            split[-1].append(step)
    return split


def environment(stage: list[Instruction]) -> dict[str, str]:
    """The variables that a stage sets."""
    pairs = [pair for step in stage if step.keyword == "ENV" for pair in step.arguments.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def sources(text: str) -> set[str]:
    """What is copied out of the build's context."""
    copies = [step.arguments.split() for step in instructions(text) if step.keyword == "COPY"]
    return {source for words in copies if not words[0].startswith("--from") for source in words[:-1]}


def let_in(ignore: str, path: str) -> bool:
    """Whether a `.dockerignore` leaves `path` in the context: the last line that matches decides."""
    inside = True
    for line in (line for line in ignore.splitlines() if line and not line.startswith("#")):
        pattern = line.removeprefix("!")
        anywhere = pattern.removeprefix("**/")
        name = path.rpartition("/")[2]
        above = [path[:end] for end in (*(match.start() for match in re.finditer("/", path)), len(path))]
        if any(fnmatch(part, pattern) for part in above) or (anywhere != pattern and fnmatch(name, anywhere)):
            inside = line.startswith("!")
    return inside


def problems(text: str) -> list[str]:
    """Name each rule that a Dockerfile breaks."""
    return [*_bases(text), *_everywhere(text), *_last_stage(stages(text)[-1])]


def _bases(text: str) -> Iterator[str]:
    if len(stages(text)) < 2:
        yield "one stage only"
    arguments = dict(step.arguments.split("=", 1) for step in instructions(text) if step.keyword == "ARG")
    for stage in stages(text):
        image = re.sub(r"\$\{(\w+)\}", lambda found: arguments.get(found[1], ""), stage[0].arguments.split()[0])
        tag = image.partition(":")[2]
        if not tag or tag.startswith("latest"):
            yield f"base without a fixed tag: {image}"


def _everywhere(text: str) -> Iterator[str]:
    for step in instructions(text):
        if step.keyword == "ADD":
            yield "ADD"
        if step.keyword in {"ARG", "ENV"} and any(SECRET_NAMES.search(pair) for pair in step.arguments.split()):
            yield f"secret in {step.keyword}"
        if step.keyword == "RUN":
            yield from _run(step.arguments)


def _run(script: str) -> Iterator[str]:
    for command in re.split(r"&&|\|\||;|\|", script):
        if re.search(r"\bpip3? (install|wheel|download)\b", command):
            if "--require-hashes" not in command and not {"--no-index", "--no-deps"} <= set(command.split()):
                yield "pip without hashes"
            if re.search(r"--(extra-)?index-url|--trusted-host", command):
                yield "index named"
        if re.search(r"\b(curl|wget|sudo)\b", command):
            yield f"{command.split()[0]} in RUN"


def _last_stage(stage: list[Instruction]) -> Iterator[str]:
    keywords = [step.keyword for step in stage]
    users = [step.arguments for step in stage if step.keyword == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1]):
        yield "not a numeric user, or root"
    if "RUN" in keywords:
        yield "RUN in the last stage"
    for wanted in ("EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"):
        if wanted not in keywords:
            yield f"no {wanted}"
    for step in stage:
        if step.keyword in EXEC_FORM and not _is_exec(step.arguments):
            yield f"{step.keyword} in shell form"
        if step.keyword == "HEALTHCHECK" and not _is_exec(step.arguments.partition("CMD")[2]):
            yield "HEALTHCHECK in shell form"


def _is_exec(arguments: str) -> bool:
    try:
        return isinstance(json.loads(arguments), list)
    except ValueError:
        return False
