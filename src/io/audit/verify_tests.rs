//! The log is broken in every way, and each shows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use super::*;
use crate::time::Millis;

/// A log of several chains, made as processes would: each step either starts one or goes on with one.
/// Entries of different chains are mixed.
fn log(steps: &[(bool, usize)]) -> Vec<Entry> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut log: Vec<Entry> = Vec::new();
    for (n, &(is_start, pick)) in steps.iter().enumerate() {
        let now = Millis(1_764_000_000_000 + i64::try_from(n).expect("few"));
        if is_start || chains.is_empty() {
            let id = format!("a_{}", chains.len());
            chains.push(Chain::begin(id, log.last(), json!({"version": "1"}), now).expect("small"));
        } else {
            let pick = pick % chains.len();
            let text = |what: &str| Some(format!("{what}-{n}"));
            let draft = Draft {
                actor: format!("ana-{n}"),
                token: text("token"),
                from: text("from"),
                action: "halt".to_owned(),
                tenant: text("tenant"),
                session: text("session"),
                reason: if n % 2 == 0 { text("reason") } else { None },
                detail: json!({"n": n, "tools": ["a", {"b": null}]}),
            };
            chains[pick].append(draft, now).expect("settled");
            log.extend(chains[pick].commit());
            continue;
        }
        log.extend(chains.last_mut().and_then(Chain::commit));
    }
    log
}

fn check(log: &[Entry], expected: &[Head]) -> Report {
    verify(log.iter().cloned().map(Ok), expected)
}

/// One chain of so many entries.
fn one_chain(entries: usize) -> Vec<Entry> {
    log(&vec![(false, 0); entries])
}

/// A second chain of three entries, begun after the last of the first.
fn two_chains() -> Vec<Entry> {
    log(&[(true, 0), (false, 0), (false, 0), (true, 0), (false, 1), (false, 1)])
}

fn rehashed(mut entry: Entry) -> Entry {
    entry.hash = entry.digest().expect("exact");
    entry
}

fn kinds(report: &Report) -> Vec<String> {
    let value = serde_json::to_value(&report.problems).expect("JSON");
    value.as_array().expect("a list").iter().map(|one| one["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn each_way_to_break_a_log_has_its_own_name() {
    type Break = fn(&mut Vec<Entry>);
    let rows: [(&str, Break, &[&str]); 15] = [
        ("nothing", |_| {}, &[]),
        ("a reason put in other words", |log| log[1].reason = Some("hm".to_owned()), &["edited"]),
        ("a hash", |log| log[1].hash = log[2].hash.clone(), &["edited"]),
        ("what a start is linked to", |log| log[2].actor.push('x'), &["edited"]),
        ("the hash of what a start is linked to", |log| log[2].hash = log[1].hash.clone(), &["edited"]),
        ("a hash that is none", |log| log[1].hash.clear(), &["edited"]),
        ("a place", |log| log[1].seq = 9, &["edited", "missing"]),
        ("a chain's name", |log| log[4].chain = "a_9".to_owned(), &["edited", "missing"]),
        (
            "an entry edited, with its hash",
            |log| log[1] = rehashed(Entry { actor: "bo".to_owned(), ..log[1].clone() }),
            &["broken_link"],
        ),
        ("an entry taken out", |log| drop(log.remove(4)), &["missing"]),
        ("the first entries taken out", |log| drop(log.drain(..2)), &["missing"]),
        ("an end cut off that a start is linked to", |log| drop(log.remove(2)), &["unknown_start"]),
        ("a whole chain taken out", |log| drop(log.drain(..3)), &["unknown_start"]),
        ("two entries swapped", |log| log.swap(1, 2), &["reordered"]),
        (
            "another entry in the same place",
            |log| log.insert(2, rehashed(Entry { actor: "bo".to_owned(), ..log[1].clone() })),
            &["fork"],
        ),
    ];
    for (what, spoil, expected) in rows {
        let mut log = two_chains();
        spoil(&mut log);
        let report = check(&log, &[]);
        assert_eq!(kinds(&report), expected, "{what}: {:?}", report.problems);
        assert_eq!(report.is_sound(), expected.is_empty());
    }
}

#[test]
fn what_is_missing_is_named() {
    let log = one_chain(10);
    let kept: Vec<_> = log.iter().filter(|entry| ![0, 3, 4, 8].contains(&entry.seq)).cloned().collect();
    let mut edited = kept.clone();
    edited[1].actor.push('!');
    let texts = |log: &[Entry]| check(log, &[]).problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let missing = |from: u64, to: u64| format!("chain a_0: missing: entries {from} to {to} are not there");
    assert_eq!(texts(&kept), [missing(0, 0), missing(3, 4), missing(8, 8)]);
    let is_edited = "chain a_0, entry 2: edited: its hash is not that of its content".to_owned();
    assert_eq!(texts(&edited), [is_edited, missing(0, 0), missing(3, 4), missing(8, 8)]);

    let tail = &two_chains()[3..];
    assert_eq!(texts(tail), ["chain a_1: unknown start: it begins after a_0:2, which is not there"]);
}

#[test]
fn a_noted_head_shows_a_tail_that_was_cut_off() {
    let log = two_chains();
    let heads = check(&log, &[]).heads;
    assert_eq!(heads, [Head::of(&log[2]), Head::of(&log[5])]);
    assert!(check(&log, &heads).is_sound());
    assert_eq!(kinds(&check(&log[..5], &[])), [""; 0]);

    let cut = check(&log[..5], &heads);
    assert_eq!(cut.problems, [Problem::Head { expected: heads[1].clone(), got: None }]);
    assert!(cut.problems[0].to_string().ends_with("got no such entry"));

    // A tail that was written anew fits, but for the head.
    let mut forged = log.clone();
    forged[5] = rehashed(Entry { actor: "bo".to_owned(), ..log[5].clone() });
    let got = Some(forged[5].hash.clone());
    assert!(check(&forged, &[]).is_sound());
    assert_eq!(check(&forged, &heads).problems, [Problem::Head { expected: heads[1].clone(), got }]);
}

#[test]
fn heads_read_as_they_print() {
    for chain in ["a_1", "a:b", ""] {
        let head = Head { chain: chain.to_owned(), seq: 7, hash: format!("sha256:{}", "0f".repeat(32)) };
        assert_eq!(head.to_string().parse(), Ok(head));
    }
    let hash = "0f".repeat(32);
    for text in [
        format!("a:7:{hash}"),
        format!("a:7:sha256:{}", &hash[1..]),
        format!("a:7:sha256:{hash}0"),
        format!("a:7:sha256:{}", hash.to_uppercase()),
        format!("a:-7:sha256:{hash}"),
        format!("7:sha256:{hash}"),
        format!("a:7sha256:{hash}"),
        String::new(),
    ] {
        let error = text.parse::<Head>().expect_err(&text);
        assert!(error.starts_with("expected CHAIN:SEQ:sha256:HEX"), "{error}");
    }
}

#[test]
fn lines_that_are_no_entries_are_problems() {
    let log = one_chain(3);
    let lines: Vec<String> = log.iter().map(Entry::to_line).collect();
    let text = format!("{}\nnonsense\n{}\n{}\n", lines[0], lines[1], lines[2]);
    let report = verify(read(text.as_bytes()), &[]);
    assert!(matches!(&*report.problems, [Problem::Unreadable { line: 2, .. }]), "{report:?}");
    assert_eq!((report.entries, report.chains), (3, 1));

    let many = verify(read("x\n".repeat(1_005).as_bytes()), &[]);
    assert_eq!((many.problems.len(), many.problems_left_out), (1_000, 5));
}

#[test]
fn an_empty_log_is_sound_and_holds_no_noted_head() {
    assert_eq!(check(&[], &[]), Report::default());
    assert_eq!(kinds(&check(&[], &[Head::of(&one_chain(1)[0])])), ["head"]);
}

/// Other values for one field of an entry, as its JSON: of another kind, of the same, longer, from elsewhere.
fn other_values(field: &str, value: &Value) -> Vec<Value> {
    let mut others = vec![json!(null), json!(""), json!("x"), json!(0), json!(1), json!({"a": 1}), json!([])];
    match value {
        Value::String(text) => {
            others.push(json!(format!("{text} ")));
            others.push(json!(text.to_uppercase()));
            others.push(json!(text.chars().rev().collect::<String>()));
            others.push(json!(text.replace("00Z", "01Z")));
        }
        Value::Number(number) => others.push(json!(number.as_i64().unwrap_or_default() + 1)),
        Value::Object(members) => {
            let mut more = members.clone();
            more.insert("more".to_owned(), json!(1));
            others.push(Value::Object(more));
            others.push(json!({"n": 1.5}));
        }
        _ => {}
    }
    others.retain(|other| other != value);
    assert!(!others.is_empty(), "{field}");
    others
}

/// Whether a chain later begins after this entry.
fn is_linked(log: &[Entry], entry: &Entry) -> bool {
    log.iter().any(|other| other.seq == 0 && other.prev == entry.hash)
}

fn is_last_of_chain(log: &[Entry], entry: &Entry) -> bool {
    !log.iter().any(|other| other.chain == entry.chain && other.seq > entry.seq)
}

fn logs() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec((prop::bool::weighted(0.2), 0..8_usize), 1..24).prop_map(|steps| log(&steps))
}

proptest! {
    #[test]
    fn a_log_as_it_was_written_is_sound(log in logs(), again in proptest::collection::vec(any::<Index>(), 0..5)) {
        let mut delivered = log.clone();
        for index in &again {
            delivered.push(log[index.index(log.len())].clone());
        }
        let report = check(&delivered, &[]);
        prop_assert_eq!(&report.problems, &[]);
        prop_assert_eq!(report.entries, delivered.len() as u64);
        prop_assert_eq!(report.repeats, again.len() as u64);
        let names: BTreeSet<_> = log.iter().map(|entry| &entry.chain).collect();
        prop_assert_eq!((report.chains, report.heads.len()), (names.len(), names.len()));
        prop_assert!(check(&delivered, &report.heads).is_sound());
    }

    /// Every field, and every value that is tried for it.
    #[test]
    fn any_change_of_any_field_is_found(log in logs(), at in any::<Index>()) {
        let at = at.index(log.len());
        let lines: Vec<String> = log.iter().map(Entry::to_line).collect();
        let fields: Value = serde_json::from_str(&lines[at]).expect("JSON");
        let mut tried = 0;
        for (field, value) in fields.as_object().expect("an object") {
            for other in other_values(field, value) {
                let mut changed = fields.clone();
                changed[field] = other;
                let mut lines = lines.clone();
                lines[at] = changed.to_string();
                let report = verify(read(lines.join("\n").as_bytes()), &[]);
                prop_assert!(matches!(report.problems.first(), Some(Problem::Edited { .. } | Problem::Unreadable { .. })),
                    "{field}: {changed}");
                tried += 1;
            }
        }
        prop_assert!(tried > 14 * 6, "{tried}");
    }

    /// With a hash that fits, only what comes after can show it.
    #[test]
    fn an_edit_with_its_hash_is_found_unless_nothing_comes_after(log in logs(), at in any::<Index>(), field in 0..6) {
        let at = at.index(log.len());
        let mut changed = log.clone();
        let entry = &mut changed[at];
        match field {
            0 => entry.actor.push('x'),
            1 => entry.ts = Millis(entry.ts.0 + 1),
            2 => entry.reason = Some("another".to_owned()),
            3 => entry.action = "resume".to_owned(),
            4 => entry.detail = json!({"n": -1}),
            _ => entry.from = None,
        }
        entry.hash = entry.digest().expect("exact");
        prop_assume!(changed[at] != log[at]);
        let is_open = is_last_of_chain(&log, &log[at]) && !is_linked(&log, &log[at]);
        prop_assert_eq!(check(&changed, &[]).is_sound(), is_open);
        prop_assert!(!check(&changed, &[Head::of(&log[at])]).is_sound());
    }

    #[test]
    fn any_removal_is_found_but_of_an_end_that_nothing_is_linked_to(log in logs(), at in any::<Index>()) {
        let mut left = log.clone();
        let gone = left.remove(at.index(log.len()));
        let is_open = is_last_of_chain(&log, &gone) && !is_linked(&log, &gone);
        prop_assert_eq!(check(&left, &[]).is_sound(), is_open);
        prop_assert!(!check(&left, &[Head::of(&gone)]).is_sound());
    }

    /// Entries of different chains have no order between them.
    #[test]
    fn any_swap_within_a_chain_is_found(log in logs(), a in any::<Index>(), b in any::<Index>()) {
        let (a, b) = (a.index(log.len()), b.index(log.len()));
        let mut swapped = log.clone();
        swapped.swap(a, b);
        let is_in_order = |entries: &[Entry]| {
            let mut last = std::collections::BTreeMap::new();
            entries.iter().all(|entry| last.insert(&entry.chain, entry.seq).is_none_or(|before| before < entry.seq))
        };
        prop_assert_eq!(check(&swapped, &[]).is_sound(), is_in_order(&swapped));
    }

    #[test]
    fn anything_put_in_is_found(log in logs(), at in any::<Index>(), to in any::<Index>(), actor in "[a-z]{1,4}") {
        let copied = log[at.index(log.len())].clone();
        let forged = rehashed(Entry { actor, ..copied });
        let mut more = log.clone();
        more.insert(to.index(log.len() + 1), forged);
        prop_assert!(!check(&more, &[]).is_sound());
    }
}
