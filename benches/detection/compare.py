"""Runs Haltline and other tools on the same labelled rows and counts what each finds and what it flags for nothing.

    compare.py detection --haltline BINARY --gitleaks BINARY CORPORA_DIR OUT_DIR
    compare.py pick      --haltline BINARY CORPORA_DIR TEMP_DIR CORPUS...
    compare.py evasions  --haltline BINARY TEMP_DIR OUT_DIR

`run` and `evasions` beside this file set the tools up and call it. A row is a positive when its label is not `benign`, and
flagged when a tool says anything at all of it (adapters.py says what that is). Rows are data: they are never printed,
and no result holds any of their text.

adapters.py also says what the times are. Caveats, besides those of each adapter there:
- gitleaks_fixtures are gitleaks' own test cases, which its rules are written to pass; they favour gitleaks.
- A corpus that a tool's authors tuned on flatters it. Haltline's rules and classifier were made with these corpora at hand,
  so its figures here are no forecast; injection.yar has not been tuned on any; of the others, nothing is known.
- Haltline is told the row's direction (a user's message, a tool's result, …), as a harness would tell it, and all its packs
  run on every row: one that its injection pack flags counts against it among the secrets, too. The others see the text alone.
- InjecAgent, ASB and BIPIA plant many plain requests that carry no word of an attack. Patterns cannot find those.
"""

import argparse
import importlib.metadata
import json
import pathlib
import random
import statistics
import sys

from adapters import Adapter, Row, agent_os, detect_secrets, gitleaks, haltline, presidio, read_rows, yara_x

BENIGN = ["benign_tech", "taubench_benign", "bipia_benign", "injecagent_benign", "cyberseceval_frr_benign",
          "tensor_trust_benign", "wildguard_benign", "xstest"]  # fmt: skip
SECRETS = ["gitleaks_fixtures", "secretlint_fixtures", "benign_tech", "taubench_benign"]
INJECTION = ["injecagent", "asb", "cyberseceval_pi", "tensor_trust", "qualifire", "bipia_injection", "wasp", *BENIGN]
PERSONAL = ["presidio_pii"]


# ── rows ──


def by_kind_of_data(row: Row) -> Row:
    """Street addresses apart: they are most of the positives, and Presidio has no pattern for them."""
    kind = "street addresses" if "STREET_ADDRESS" in row.fields.get("notes", "") else "all else"
    return Row(f"{row.corpus}, {kind}", row.fields)


def read_corpora(folder: pathlib.Path, names: list[str]) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        file = folder / f"{name}.jsonl.gz"
        if file.is_file():
            rows += read_rows(file)
        else:
            print(f"compare.py: no {file.name} in the corpora: left out", file=sys.stderr)
    return rows


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
        kind = "process" if outcome.micros_median is None else "library call, warm"
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
    return text + table(["processor µs for a row", "of what", "median", "mean"], body)


def evasions_as_markdown(result: dict) -> str:
    picked = result["picked"]
    tools = list(picked["tools"])
    text = "# Attacks hidden in known ways\n\n"
    text += f"Drawn from {picked['attacks']} attacks that every tool finds in plain "
    text += f"and {picked['honest']} honest texts that none flags.\n"
    text += "A cell is recall, then false alarms on honest texts hidden the same way: a tool that flags every such text has not\n"
    text += "read it.\n\n"
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
    for corpus, one in next(iter(picked["tools"].values()))["corpora"].items():
        ratio = "recall" if one["positives"] else "fpr"
        cells = [percent(picked["tools"][tool]["corpora"][corpus][ratio]) for tool in tools]
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
    markdown += "adapters.py says what each tool is asked and what the times are, compare.py what to beware of. Versions: "
    markdown += ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items())) + ".\n\n"
    for title, (corpora, theirs) in groups.items():
        rows = read_corpora(args.corpora, corpora)
        if corpora is PERSONAL:
            rows = [by_kind_of_data(row) for row in rows]
        if rows:
            result["groups"][title] = measure(rows, ours | theirs)
            markdown += group_as_markdown(title, result["groups"][title])
    if not result["groups"]:
        raise SystemExit(f"compare.py: expected corpora (NAME.jsonl.gz) in {args.corpora}")
    write(args.out, "detection", markdown, result)


def tools_for_evasions(args: argparse.Namespace) -> dict[str, Adapter]:
    """Those that read for injections; nothing is timed here, so one run is enough."""
    return {"haltline": haltline(args.haltline, runs=1), "yara-x (our rules)": yara_x, "agent-governance-toolkit": agent_os}


def verdicts(rows: list[Row], tools: dict[str, Adapter]) -> dict[str, list[bool]]:
    return {name: adapter(rows).flagged for name, adapter in tools.items()}


def pick(args: argparse.Namespace) -> None:
    """Writes attacks that every tool finds in plain, and honest texts that none flags: as many of each corpus at the most, so
    that one corpus with one wording does not drown the others. The generator hides attacks only, so the honest ones are
    labelled as such on the way to it."""
    rows = [row for row in read_corpora(args.corpora, args.names) if 24 <= len(row.text.encode()) <= args.bytes_max]
    if not rows:
        raise SystemExit(f"compare.py: expected corpora (NAME.jsonl.gz) in {args.corpora}")
    said = verdicts(rows, tools_for_evasions(args))
    picked: dict[str, list[Row]] = {"attacks": [], "honest": []}
    choice = random.Random(args.seed)
    for corpus in dict.fromkeys(row.corpus for row in rows):
        places = [place for place, row in enumerate(rows) if row.corpus == corpus]
        attacks = [rows[at] for at in places if rows[at].is_positive and all(one[at] for one in said.values())]
        honest = [rows[at] for at in places if not rows[at].is_positive and not any(one[at] for one in said.values())]
        for kind, found in (("attacks", attacks), ("honest", honest)):
            picked[kind] += choice.sample(found, min(args.per_corpus, len(found)))
    for kind, found in picked.items():
        if not found:
            raise SystemExit(f"compare.py: no {kind} to hide in {args.corpora}")
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
    two.add_argument("corpora", type=path)
    two.add_argument("temp", type=path)
    two.add_argument("names", nargs="+")
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
