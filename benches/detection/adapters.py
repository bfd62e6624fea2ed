"""Labelled rows, and one adapter for each tool that reads them: what the tool is asked, when a row counts as flagged, and what
to beware of. An adapter takes rows and gives a verdict for each, and the time for one; `compare.py` counts them.

Times are always processor time (user and system), so that other work on the machine adds little. A *call* is a call into a
library inside this Python process, after a warm-up, timed for each row apart, so it has a median. A *process* is a whole run
over all rows, several times over where they are few, less a run over next to none, divided by the rows: a mean, of the median
of three such runs, over all threads. The two are not the same thing: read them as orders of magnitude, and compare mean with
mean.
"""

import contextlib
import gzip
import json
import logging
import os
import pathlib
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HERE = pathlib.Path(__file__).parent
WARM_UP_ROWS = 50
PROCESS_RUNS = 3
PROCESS_ROWS_MIN = 10_000


# ── rows ──


@dataclass(frozen=True)
class Row:
    corpus: str
    fields: dict

    @property
    def text(self) -> str:
        return self.fields["text"]

    @property
    def is_positive(self) -> bool:
        return self.fields["label"] != "benign"

    @property
    def line(self) -> str:
        return json.dumps(self.fields, ensure_ascii=False) + "\n"


def read_rows(file: pathlib.Path) -> list[Row]:
    corpus = file.name.split(".")[0]
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        return [Row(corpus, json.loads(line)) for line in lines if line.strip()]


# ── what a tool says ──


@dataclass(frozen=True)
class Outcome:
    """What one tool made of rows: a verdict for each, and microseconds for one."""

    flagged: list[bool]
    micros_mean: float
    micros_median: float | None = None
    """Of a library call; a process that reads many rows has none."""


Adapter = Callable[[list[Row]], Outcome]


def by_calls(rows: list, flags: Callable[[object], bool]) -> Outcome:
    """Calls a library once a row, warm."""
    for row in rows[:WARM_UP_ROWS]:
        flags(row)
    flagged, nanos = [], []
    for row in rows:
        start = time.thread_time_ns()
        flagged.append(flags(row))
        nanos.append(time.thread_time_ns() - start)
    return Outcome(flagged, statistics.fmean(nanos) / 1e3, statistics.median(nanos) / 1e3)


def processor_micros(command: list[str], folder: str) -> float:
    """Runs a program to its end; fails when it does. What it prints may quote rows and goes nowhere."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HALTLINE", "GITLEAKS"))}
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(command, cwd=folder, env=env, stdin=quiet, stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"compare.py: {command[0]} {command[1]} ended with {child.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1e6


def by_process(rows_read: int, whole: list[str], nearly_nothing: list[str], folder: str, runs: int = PROCESS_RUNS) -> float:
    """Processor microseconds for one row, without the start of the process. What the last run of `whole` wrote stays."""
    start = statistics.median(processor_micros(nearly_nothing, folder) for _ in range(runs))
    work = statistics.median(processor_micros(whole, folder) for _ in range(runs))
    return (work - start) / rows_read


def times_over(rows: list[Row]) -> int:
    """How often a process is given the rows, so that its work stands out against its start."""
    return -(-PROCESS_ROWS_MIN // len(rows))


@contextlib.contextmanager
def files_of(rows: list[Row]) -> Iterator[tuple[pathlib.Path, list[pathlib.Path]]]:
    """Each row as a file of a temporary folder. The names end in .txt, so that no tool skips or prefers them."""
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp) / "rows"
        folder.mkdir()
        files = [folder / f"{number:06}.txt" for number in range(len(rows))]
        for file, row in zip(files, rows, strict=True):
            file.write_text(row.text, encoding="utf-8", newline="")
        yield folder, files


# ── adapters ──


def haltline(binary: str, runs: int = PROCESS_RUNS) -> Adapter:
    """`haltline eval --scores` with the built-in packs: flagged when any finding asks for `flag` or more. A process. The time
    also holds reading the row's JSON, writing and parsing an event of it, the session's windows, and the classifier a second
    time for the score: more than a shard does for an event."""

    def run(rows: list[Row]) -> Outcome:
        with tempfile.TemporaryDirectory() as temp:
            whole, one, scores = (pathlib.Path(temp) / name for name in ("rows.jsonl", "one.jsonl", "scores.jsonl"))
            times = times_over(rows) if runs > 1 else 1
            whole.write_text("".join(row.line for row in rows) * times, encoding="utf-8")
            one.write_text(rows[0].line, encoding="utf-8")

            def command(file: pathlib.Path) -> list[str]:
                return [binary, "eval", "--json", "--scores", str(scores), str(file)]

            micros = by_process(len(rows) * times, command(whole), command(one), temp, runs)
            with scores.open(encoding="utf-8") as lines:
                flagged = [json.loads(line)["flagged"] for line in lines]
        return Outcome(flagged[: len(rows)], micros)

    return run


def gitleaks(binary: str) -> Adapter:
    """`gitleaks dir` with its default rules over a folder with a file for each row: flagged when the report names the file. A
    process, which also opens and reads the files. Its allow-comments (`gitleaks:allow`) stay in force."""

    def run(rows: list[Row]) -> Outcome:
        times = times_over(rows)
        with files_of(rows * times) as (folder, files):
            report, empty = folder.parent / "report.json", folder.parent / "empty"
            empty.mkdir()

            def command(path: pathlib.Path) -> list[str]:
                return [binary, "dir", str(path), "--report-format=json", f"--report-path={report}", "--redact=100",
                        "--exit-code=0", "--no-banner", "--log-level=error"]  # fmt: skip

            micros = by_process(len(files), command(folder), command(empty), str(folder.parent))
            named = {pathlib.Path(leak["File"]).name for leak in json.loads(report.read_text(encoding="utf-8"))}
        return Outcome([file.name in named for file in files[: len(rows)]], micros)

    return run


def detect_secrets(rows: list[Row]) -> Outcome:
    """detect-secrets with all plugins and default filters on a file for each row: flagged when it finds any secret. A call,
    which also opens and reads the file. Verification, which asks the secrets' issuers over the network, is off, as it is by
    default in the library (but not in its command line)."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    def flags(file: object) -> bool:
        found = SecretsCollection()
        found.scan_file(str(file))
        return any(True for _ in found)

    with default_settings() as settings, files_of(rows) as (_, files):
        if any("verif" in path for path in settings.filters):
            raise SystemExit("compare.py: detect-secrets would verify secrets over the network")
        return by_calls(files, flags)


def agent_os(rows: list[Row]) -> Outcome:
    """`PromptInjectionDetector.detect` of agent-governance-toolkit-core with its defaults (`balanced`): flagged when
    `is_injection`. A call. Its rules are samples, as it says itself. Four `\\xNN` or `\\uNNNN` in a row, or a line of only
    dashes or back-ticks, are enough for it whatever they say, so see its false alarms beside its recall."""
    logging.getLogger("agent_os").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from agent_os.prompt_injection import PromptInjectionDetector

        detector = PromptInjectionDetector()
    return by_calls(rows, lambda row: detector.detect(row.text, source="eval").is_injection)


def yara_x(rows: list[Row]) -> Outcome:
    """yara-x with injection.yar beside this file, which is this project's own and not a rule set that anyone publishes: flagged
    when any rule matches. A call, on bytes that are encoded beforehand."""
    import yara_x as library

    rules = library.compile((HERE / "injection.yar").read_text(encoding="utf-8"))
    scanner = library.Scanner(rules)
    return by_calls([row.text.encode() for row in rows], lambda text: bool(scanner.scan(text).matching_rules))


def presidio(score_min: float) -> Adapter:
    """Presidio's English pattern recognisers and its phone recogniser, called directly: flagged when one gives `score_min` or
    more. A call. Without a language model there are no names and no places, nor the words around a number that raise its
    score. Dates and URLs do not count, because the corpus does not count them as personal data. The list of public suffixes
    is the one in the package, so nothing is fetched."""

    def run(rows: list[Row]) -> Outcome:
        import tldextract
        from presidio_analyzer import PatternRecognizer
        from presidio_analyzer.predefined_recognizers import PhoneRecognizer
        from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider

        logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
        tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
        registry = RecognizerRegistryProvider().create_recognizer_registry()
        recognizers = [
            one
            for one in registry.recognizers
            if one.supported_language == "en"
            and isinstance(one, (PatternRecognizer, PhoneRecognizer))
            and not {"DATE_TIME", "URL"} & set(one.supported_entities)
        ]

        def flags(row: object) -> bool:
            found = (one.analyze(row.text, one.supported_entities, None) or [] for one in recognizers)
            return any(result.score >= score_min for results in list(found) for result in results)

        return by_calls(rows, flags)

    return run
