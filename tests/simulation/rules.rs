//! The rules of the simulation: one of each kind, with small limits, so that short traffic meets them all.

use std::sync::Arc;

use haltline::engine::Program;
use haltline::rules::{SourceFile, load};

/// Whose windows belong to one session, so that any number of shards decides alike.
pub const OF_SESSIONS: [&str; 10] =
    ["count", "sum", "distinct", "trifecta", "unconfirmed", "flow", "loop", "risk", "phrase", "tenant"];

const RULES: [(&str, &str); 13] = [
    (
        "phrase",
        "action = \"flag\"\nseverity = \"medium\"\n[when]\ntrust = \"untrusted\"\n[match]\nphrases = \"ignore all previous instructions\"",
    ),
    (
        "token",
        "action = \"deny\"\nseverity = \"critical\"\npoints = 1\n[match]\nkeywords = \"tok_\"\nregex = \"tok_[0-9a-f]{16}\"\nsecret = true",
    ),
    (
        "tenant",
        "action = \"deny\"\nseverity = \"high\"\n[when]\nkind = \"tool_call\"\n[scope]\nfield = \"args.tenant\"\nnot_equal = \"{session.tenant}\"",
    ),
    (
        "count",
        "action = \"halt\"\nseverity = \"high\"\n[when]\nkind = \"tool_call\"\ntool = \"refund\"\n[rate]\ngroup_by = \"session\"\nwindow = \"1m\"\ncount_at_least = 4",
    ),
    (
        "sum",
        "action = \"flag\"\nseverity = \"low\"\n[when]\nkind = \"tool_call\"\ntool = \"refund\"\n[rate]\ngroup_by = \"session\"\nwindow = \"2m\"\nsum = \"args.amount\"\nsum_above = 100",
    ),
    (
        "distinct",
        "action = \"flag\"\nseverity = \"low\"\n[when]\nkind = \"tool_call\"\ntool = \"read\"\n[rate]\ngroup_by = \"session\"\nwindow = \"1m\"\ndistinct = \"args.id\"\ndistinct_at_least = 4",
    ),
    (
        "agent",
        "action = \"flag\"\nseverity = \"low\"\n[when]\nkind = \"tool_call\"\n[rate]\ngroup_by = \"agent\"\nwindow = \"1m\"\ncount_at_least = 8",
    ),
    (
        "spike",
        "action = \"flag\"\nseverity = \"low\"\n[when]\nkind = \"tool_call\"\n[spike]\ngroup_by = \"agent\"\nwindow = \"30s\"\nhalf_life = \"5m\"\nwarm_up = 3\nat_least = 5\ntimes = 2\none_in = 100",
    ),
    (
        "trifecta",
        "action = \"halt\"\nseverity = \"critical\"\npoints = 0\n[sequence]\ngroup_by = \"session\"\nwithin = \"3m\"\nmax_gap = \"1m\"\n[[sequence.step]]\nname = \"an injection\"\nfinding = \"phrase\"\nstage = 1\n[[sequence.step]]\nname = \"a read\"\nwhen = { kind = \"tool_call\", tool = \"read\" }\nstage = 1\n[[sequence.step]]\nname = \"a send\"\nwhen = { kind = \"tool_call\", tool = \"send\" }\noutside = \"*.inside.example\"\nstage = 2",
    ),
    (
        "unconfirmed",
        "action = \"flag\"\nseverity = \"low\"\n[sequence]\ngroup_by = \"session\"\nwithin = \"2m\"\n[[sequence.step]]\nname = \"a read\"\nwhen = { kind = \"tool_call\", tool = \"read\" }\n[[sequence.step]]\nname = \"a word of the user\"\nwhen = { kind = \"message\", role = \"user\" }\nnot = true\n[[sequence.step]]\nname = \"a refund\"\nwhen = { kind = \"tool_call\", tool = \"refund\" }",
    ),
    (
        "flow",
        "action = \"flag\"\nseverity = \"medium\"\n[flow]\ngroup_by = \"session\"\nwithin = \"5m\"\nvalues_at_least = 1\nchars_at_least = 40\nsource = { when = { kind = \"tool_result\", tool = \"read\" }, fields = \"result\" }\nsink = { when = { kind = \"tool_call\", tool = \"send\" }, fields = \"args\" }\nknown = { when = { kind = \"message\", role = \"user\" } }",
    ),
    (
        "loop",
        "action = \"flag\"\nseverity = \"low\"\n[when]\nkind = \"tool_call\"\n[repeat]\ngroup_by = \"session\"\nat_least = 3\nwithin = \"1m\"",
    ),
    ("risk", "action = \"halt\"\nseverity = \"critical\"\npoints = 0\n[score]\nhalf_life = \"2m\"\nat_least = 45"),
];

/// The compiled rules, but for those that `without` names.
pub fn program(without: &[&str]) -> Arc<Program> {
    let kept = RULES.iter().filter(|(id, _)| !without.contains(id));
    let file = |(id, rule): &(&str, &str)| SourceFile {
        name: format!("{id}.toml"),
        text: format!("schema = 1\nid = \"{id}\"\ntitle = \"{id}\"\n{rule}\n"),
        layer: 0,
    };
    let files: Vec<SourceFile> = kept.map(file).collect();
    let set = load(&files).unwrap_or_else(|errors| panic!("{errors}"));
    Arc::new(Program::new(Arc::new(set)).expect("few patterns"))
}
