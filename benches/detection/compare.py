"""Runs Haltline and other tools on the same labelled rows and counts what each finds and what it flags for nothing.

    compare.py detection --haltline BINARY --gitleaks BINARY CORPORA_DIR OUT_DIR
    compare.py pick      --haltline BINARY CORPORA_FILE... TEMP_DIR
    compare.py evasions  --haltline BINARY TEMP_DIR OUT_DIR

`run` and `evasions` beside this file set the tools up and call it. A row is a positive when its label is not `benign`, and
flagged when a tool says anything at all of it (each adapter below says what that is). Rows are data: they are never printed,
and no result holds any of their text.

Each adapter takes rows and gives one verdict a row and the time. Times are of two kinds. A *call* is a call into a library
inside this Python process, after a warm-up, by the wall clock, and its median is over rows. A *process* is the processor time
(user and system, all threads) of a whole run over all rows less that of a run over next to none, divided by the rows; the
median of three such runs. The two are not the same thing: read them as orders of magnitude.

Caveats, besides those of each adapter:
- gitleaks_fixtures are gitleaks' own test cases, which its rules are written to pass; they favour gitleaks.
- A corpus that a tool's authors tuned on flatters it. Haltline's rules and classifier may have seen the corpora whose
  licences allow it; injection.yar has not been tuned on any; of the others, nothing is known.
- InjecAgent, ASB and BIPIA plant many plain requests that carry no word of an attack. Patterns cannot find those.
"""

import argparse
import contextlib
import gzip
import importlib.metadata
import json
import logging
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HERE = pathlib.Path(__file__).parent
WARM_UP_ROWS = 50
PROCESS_RUNS = 3

BENIGN = ["benign_tech", "taubench_benign", "bipia_benign", "injecagent_benign", "cyberseceval_frr_benign",
          "tensor_trust_benign", "wildguard_benign", "xstest"]  # fmt: skip
SECRETS = ["gitleaks_fixtures", "secretlint_fixtures", "benign_tech", "taubench_benign"]
INJECTION = ["injecagent", "asb", "cyberseceval_pi", "tensor_trust", "qualifire", "bipia_injection", "wasp", *BENIGN]
PERSONAL = ["presidio_pii"]


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


def read_corpora(folder: pathlib.Path, names: list[str]) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        file = folder / f"{name}.jsonl.gz"
        if file.is_file():
            rows += read_rows(file)
        else:
            print(f"compare.py: no {file.name} in the corpora: left out", file=sys.stderr)
    return rows


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
    """Calls a library once a row, warm, by the wall clock."""
    for row in rows[:WARM_UP_ROWS]:
        flags(row)
    flagged, nanos = [], []
    for row in rows:
        start = time.perf_counter_ns()
        flagged.append(flags(row))
        nanos.append(time.perf_counter_ns() - start)
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


def by_process(rows: list[Row], whole: list[str], nearly_nothing: list[str], folder: str) -> float:
    """Processor microseconds for one row, without the start of the process."""
    start = statistics.median(processor_micros(nearly_nothing, folder) for _ in range(PROCESS_RUNS))
    work = statistics.median(processor_micros(whole, folder) for _ in range(PROCESS_RUNS))
    return max(work - start, 0.0) / len(rows)


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


def haltline(binary: str) -> Adapter:
    """`haltline eval --scores` with the built-in packs: flagged when any finding asks for `flag` or more. A process. The time
    also holds reading the row's JSON, writing and parsing an event of it, the session's windows, and the classifier a second
    time for the score: more than a shard does for an event."""

    def run(rows: list[Row]) -> Outcome:
        with tempfile.TemporaryDirectory() as temp:
            whole, one, scores = (pathlib.Path(temp) / name for name in ("rows.jsonl", "one.jsonl", "scores.jsonl"))
            whole.write_text("".join(row.line for row in rows), encoding="utf-8")
            one.write_text(rows[0].line, encoding="utf-8")

            def command(file: pathlib.Path) -> list[str]:
                return [binary, "eval", "--json", "--scores", str(scores), str(file)]

            micros = by_process(rows, command(whole), command(one), temp)
            flagged = [json.loads(line)["flagged"] for line in scores.read_text(encoding="utf-8").splitlines()]
        return Outcome(flagged, micros)

    return run


def gitleaks(binary: str) -> Adapter:
    """`gitleaks dir` with its default rules over a folder with a file for each row: flagged when the report names the file. A
    process, which also opens and reads the files. Its allow-comments (`gitleaks:allow`) stay in force."""

    def run(rows: list[Row]) -> Outcome:
        with files_of(rows) as (folder, files):
            report, empty = folder.parent / "report.json", folder.parent / "empty"
            empty.mkdir()

            def command(path: pathlib.Path) -> list[str]:
                return [binary, "dir", str(path), "--report-format=json", f"--report-path={report}", "--redact=100",
                        "--exit-code=0", "--no-banner", "--log-level=error"]  # fmt: skip

            micros = by_process(rows, command(folder), command(empty), str(folder.parent))
            named = {pathlib.Path(leak["File"]).name for leak in json.loads(report.read_text(encoding="utf-8"))}
        return Outcome([file.name in named for file in files], micros)

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
    from agent_os.prompt_injection import PromptInjectionDetector

    logging.getLogger("agent_os").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
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
        from presidio_analyzer.predefined_recognizers import PhoneRecognizer
        from presidio_analyzer import PatternRecognizer
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


# ── counting ──


def count(rows: list[Row], flagged: list[bool]) -> dict:
    if len(rows) != len(flagged):
        raise SystemExit(f"compare.py: {len(flagged)} verdicts for {len(rows)} rows")
    found = sum(row.is_positive and said for row, said in zip(rows, flagged, strict=True))
    alarms = sum(not row.is_positive and said for row, said in zip(rows, flagged, strict=True))
    positives = sum(row.is_positive for row in rows)
    benign = len(rows) - positives
    return {
        "positives": positives,
        "found": found,
        "recall": found / positives if positives else None,
        "benign": benign,
        "false_alarms": alarms,
        "fpr": alarms / benign if benign else None,
    }


def by_corpus(rows: list[Row], flagged: list[bool]) -> dict[str, dict]:
    counts = {}
    for corpus in [*dict.fromkeys(row.corpus for row in rows), "all"]:
        pairs = [pair for pair in zip(rows, flagged, strict=True) if corpus in (pair[0].corpus, "all")]
        counts[corpus] = count([row for row, _ in pairs], [said for _, said in pairs])
    return counts


def measure(rows: list[Row], tools: dict[str, Adapter]) -> dict:
    measured = {}
    for name, adapter in tools.items():
        print(f"compare.py: {name} on {len(rows)} rows", file=sys.stderr)
        outcome = adapter(rows)
        kind = "process, processor time" if outcome.micros_median is None else "call, warm"
        time_of = {"measured": kind, "median": outcome.micros_median, "mean": outcome.micros_mean}
        measured[name] = {"micros_per_row": time_of, "corpora": by_corpus(rows, outcome.flagged)}
    return {"rows": len(rows), "bytes_mean": statistics.fmean(len(row.text.encode()) for row in rows), "tools": measured}


# ── tables ──


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def micros(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def table(head: list[str], body: list[list[str]]) -> str:
    left = ["---"] + ["---:"] * (len(head) - 1)
    return "".join("| " + " | ".join(line) + " |\n" for line in [head, left, *body]) + "\n"


def group_as_markdown(title: str, group: dict) -> str:
    tools = group["tools"]
    counts = {name: tool["corpora"] for name, tool in tools.items()}
    corpora = next(iter(counts.values()))
    text = f"## {title}\n\n"
    for heading, of, ratio in [("recall on positives", "positives", "recall"), ("false alarms on benign rows", "benign", "fpr")]:
        named = [(name, one) for name, one in corpora.items() if one[of]]
        body = [[name, str(one[of]), *(percent(counts[tool][name][ratio]) for tool in tools)] for name, one in named]
        if len(body) == 2:
            body.pop()  # the sum of one
        text += table([heading, "rows", *tools], body) if body else ""
    body = []
    for name, tool in tools.items():
        one = tool["micros_per_row"]
        body.append([name, one["measured"], micros(one["median"]), micros(one["mean"])])
    text += f"{group['rows']} rows of {group['bytes_mean']:.0f} bytes in the mean:\n\n"
    return text + table(["µs for a row", "measured", "median", "mean"], body)


def evasions_as_markdown(result: dict) -> str:
    tools = list(result["picked"]["tools"])
    text = "# Attacks hidden in known ways\n\n"
    text += "Hidden are only attacks that every tool finds in plain and honest texts that none flags in plain. A cell is recall,\n"
    text += "then false alarms on honest texts hidden the same way: a tool that flags every such text has not read it.\n\n"
    head = ["transform", "attacks", "honest", *tools]
    cell = "{} / {}".format
    body = []
    for name, group in result["transforms"].items():
        one = group["tools"]
        cells = [cell(percent(one[tool]["recall"]), percent(one[tool]["fpr"])) for tool in tools]
        body.append([name, str(group["positives"]), str(group["benign"]), *cells])
    text += table(head, body)
    text += f"In plain, of the rows of up to {result['bytes_max']} bytes that these were picked from:\n\n"
    body = []
    for corpus, one in next(iter(result["picked"]["tools"].values()))["corpora"].items():
        cells = [percent(result["picked"]["tools"][tool]["corpora"][corpus]["recall" if one["positives"] else "fpr"]) for tool in tools]
        body.append([corpus + ("" if one["positives"] else " (benign)"), str(one["positives"] or one["benign"]), *cells])
    return text + table(["recall (benign: false alarms)", "rows", *tools], body[:-1])


def write(out: pathlib.Path, name: str, markdown: str, result: dict) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.md").write_text(markdown, encoding="utf-8")
    (out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"compare.py: wrote {name}.md and {name}.json to {out}", file=sys.stderr)


def versions() -> dict[str, str]:
    named = ["detect-secrets", "agent-governance-toolkit-core", "yara-x", "presidio-analyzer"]
    return {name: importlib.metadata.version(name) for name in named}


# ── commands ──


def detection(args: argparse.Namespace) -> None:
    ours = {"haltline": haltline(args.haltline)}
    groups = {
        "Secrets": (SECRETS, {"gitleaks": gitleaks(args.gitleaks), "detect-secrets": detect_secrets}),
        "Injections and jailbreaks": (INJECTION, {"agent-governance-toolkit": agent_os, "yara-x (our rules)": yara_x}),
        "Personal data": (PERSONAL, {"presidio, any score": presidio(0.0), "presidio, 0.4 or more": presidio(0.4)}),
    }
    result: dict = {"versions": {**versions(), "gitleaks": args.gitleaks_version}, "groups": {}}
    markdown = "# Haltline beside other tools, on the same labelled rows\n\n"
    markdown += "compare.py says what each tool is asked, what the times are, and what to beware of. Versions: "
    markdown += ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items())) + ".\n\n"
    for title, (corpora, theirs) in groups.items():
        rows = read_corpora(args.corpora, corpora)
        if rows:
            result["groups"][title] = measure(rows, ours | theirs)
            markdown += group_as_markdown(title, result["groups"][title])
    if not result["groups"]:
        raise SystemExit(f"compare.py: expected corpora (NAME.jsonl.gz) in {args.corpora}")
    write(args.out, "detection", markdown, result)


def tools_for_evasions(args: argparse.Namespace) -> dict[str, Adapter]:
    return {"haltline": haltline(args.haltline), "yara-x (our rules)": yara_x, "agent-governance-toolkit": agent_os}


def verdicts(rows: list[Row], tools: dict[str, Adapter]) -> dict[str, list[bool]]:
    return {name: adapter(rows).flagged for name, adapter in tools.items()}


def pick(args: argparse.Namespace) -> None:
    """Writes attacks that every tool finds in plain, and honest texts that none flags: as many of each corpus at the most, so
    that one corpus with one wording does not drown the others. The generator hides attacks only, so the honest ones are
    labelled as such on the way to it."""
    rows = [row for file in args.files for row in read_rows(file) if 24 <= len(row.text.encode()) <= args.bytes_max]
    tools = tools_for_evasions(args)
    said = verdicts(rows, tools)
    picked: dict[str, list[Row]] = {"attacks": [], "honest": []}
    choice = random.Random(args.seed)
    for corpus in dict.fromkeys(row.corpus for row in rows):
        places = [place for place, row in enumerate(rows) if row.corpus == corpus]
        attacks = [rows[at] for at in places if rows[at].is_positive and all(one[at] for one in said.values())]
        honest = [rows[at] for at in places if not rows[at].is_positive and not any(one[at] for one in said.values())]
        for kind, found in (("attacks", attacks), ("honest", honest)):
            picked[kind] += choice.sample(found, min(args.per_corpus, len(found)))
    for kind, found in picked.items():
        lines = (Row(row.corpus, {**row.fields, "label": "injection"}).line for row in found)
        (args.temp / f"{kind}.jsonl").write_text("".join(lines), encoding="utf-8")
    counts = {name: {"corpora": by_corpus(rows, flagged)} for name, flagged in said.items()}
    of_kind = {kind: len(found) for kind, found in picked.items()}
    result = {"bytes_max": args.bytes_max, "picked": {**of_kind, "tools": counts}}
    (args.temp / "picked.json").write_text(json.dumps(result), encoding="utf-8")


def evasions(args: argparse.Namespace) -> None:
    hidden = []
    for kind, label in (("attacks", "injection"), ("honest", "benign")):
        for row in read_rows(args.temp / f"{kind}-hidden.jsonl"):
            hidden.append(Row(row.fields["source"].removeprefix("evasion:"), {**row.fields, "label": label}))
    hidden.sort(key=lambda row: row.corpus)
    counts = {name: by_corpus(hidden, said) for name, said in verdicts(hidden, tools_for_evasions(args)).items()}
    result = json.loads((args.temp / "picked.json").read_text(encoding="utf-8"))
    result |= {"versions": versions(), "transforms": {}}
    for name, one in next(iter(counts.values())).items():
        of_tools = {tool: {of: counts[tool][name][of] for of in ("recall", "fpr")} for tool in counts}
        result["transforms"][name] = {"positives": one["positives"], "benign": one["benign"], "tools": of_tools}
    write(args.out, "evasions", evasions_as_markdown(result), result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    path = pathlib.Path

    one = commands.add_parser("detection")
    one.add_argument("--gitleaks", required=True)
    one.add_argument("--gitleaks-version", default="")
    one.add_argument("corpora", type=path)
    one.add_argument("out", type=path)
    one.set_defaults(run=detection)

    two = commands.add_parser("pick")
    two.add_argument("--bytes-max", type=int, default=400)
    two.add_argument("--per-corpus", type=int, default=100)
    two.add_argument("--seed", type=int, default=1)
    two.add_argument("files", type=path, nargs="+")
    two.add_argument("temp", type=path)
    two.set_defaults(run=pick)

    three = commands.add_parser("evasions")
    three.add_argument("temp", type=path)
    three.add_argument("out", type=path)
    three.set_defaults(run=evasions)

    for command in (one, two, three):
        command.add_argument("--haltline", required=True)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
