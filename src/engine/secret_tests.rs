//! Secrets on their way through the engine: read with their keys, told once, shown to nobody.

use std::sync::Arc;

use super::*;
use crate::event::parse;
use crate::rules::{SourceFile, load};

/// A specific rule, a generic one that needs a key, and one that is for no secrets.
const RULES: [&str; 3] = [
    "id = \"secret-tok\"\nseverity = \"critical\"\naction = \"deny\"\n[match]\nkeywords = \"tok_\"\nregex = '''tok_[0-9a-f]{16}'''\nsecret = true",
    "id = \"secret-generic-key\"\nseverity = \"high\"\naction = \"flag\"\n[match]\nkeywords = [\"key\", \"token\"]\nregex = '''(?:key|token)\"?\\s?[=:]\\s?\"?([0-9A-Za-z_]{12,})'''\nsecret = true",
    "id = \"phrase\"\nseverity = \"high\"\naction = \"flag\"\n[match]\nphrases = \"ignore the rules\"",
];
const TOKEN: &str = "tok_0123456789abcdef";

fn engine(generic_action: &str) -> Engine {
    let file = |(n, rule): (usize, &&str)| SourceFile {
        name: format!("{n}.toml"),
        text: format!("schema = 1\ntitle = \"a rule\"\n{}\n", rule.replace("\"flag\"", generic_action)),
        layer: 0,
    };
    let set = load(&RULES.iter().enumerate().map(file).collect::<Vec<_>>()).unwrap_or_else(|errors| panic!("{errors}"));
    let program = Arc::new(Program::new(Arc::new(set)).expect("few patterns"));
    let shard = ShardId { topic: "t".into(), partition: 0 };
    Engine::new(shard, program, Settings { shadow: false, hash_key: HashKey([0; 16]) })
}

pub(super) fn findings(engine: &mut Engine, offset: i64, json: &str) -> Vec<Finding> {
    let text = format!("{{\"v\":1,\"session\":\"s\",{json}}}");
    let parsed = parse(text.as_bytes()).unwrap_or_else(|rejected| panic!("{text}: {rejected:?}"));
    let mut effects = Vec::new();
    let at = At { offset, append: Some(Millis(1_000_000)), silent: false };
    engine.step(at, Input::Event { event: &parsed.event, digest: 0 }, &mut effects);
    let finding = |effect| match effect {
        Effect::Finding(finding) => Some(finding),
        Effect::Halt(_) => None,
    };
    effects.into_iter().filter_map(finding).collect()
}

#[test]
fn what_a_specific_rule_finds_no_generic_one_tells() {
    let other = "Zq8vT2mLx7Rk4Wd9Yb3N";
    let rows = [
        (format!("token={TOKEN}"), "\"flag\"", vec!["secret-tok"]),
        (format!("token={TOKEN} key={other}"), "\"flag\"", vec!["secret-tok", "secret-generic-key"]),
        (format!("token={TOKEN} key={TOKEN}"), "\"flag\"", vec!["secret-tok"]),
        (format!("key={other}"), "\"flag\"", vec!["secret-generic-key"]),
        // A generic rule that would do more keeps its word.
        (format!("token={TOKEN}"), "\"halt\"", vec!["secret-generic-key", "secret-tok"]),
    ];
    for (text, action, want) in rows {
        let found = findings(&mut engine(action), 0, &format!("\"kind\":\"message\",\"text\":\"{text}\""));
        assert_eq!(found.iter().map(|finding| &*finding.rule).collect::<Vec<_>>(), want, "{text} {action}");
    }
}

#[test]
fn a_value_is_read_with_its_key() {
    let call = |args: &str| format!("\"kind\":\"tool_call\",\"tool\":{{\"name\":\"t\",\"args\":{args}}}");
    let secret = "Zq8vT2mLx7Rk4Wd9Yb3N";
    let rows = [
        (format!("{{\"api_key\":\"{secret}\"}}"), vec![("secret-generic-key", "args.api_key")]),
        (format!("{{\"token\":[\"{secret}\"]}}"), vec![("secret-generic-key", "args.token.0")]),
        (format!("{{\"note\":\"{secret}\"}}"), vec![]),
        (format!("{{\"token\":\"{TOKEN}\"}}"), vec![("secret-tok", "args.token")]),
    ];
    for (args, want) in rows {
        let found = findings(&mut engine("\"flag\""), 0, &call(&args));
        let got: Vec<(&str, &str)> =
            found.iter().map(|f| (&*f.rule, f.evidence.field.as_deref().unwrap_or_default())).collect();
        assert_eq!(got, want, "{args}");
        for finding in found {
            assert_eq!(finding.evidence.span, Some((0, 20)), "{args}");
            assert!(!serde_json::to_string(&finding).expect("JSON").contains(&secret[..6]), "{args}");
        }
    }
}

#[test]
fn no_half_of_a_secret_is_shown_with_the_next_turn() {
    let mut engine = engine("\"flag\"");
    let message = |text: &str| format!("\"kind\":\"message\",\"role\":\"user\",\"text\":\"{text}\"");
    // The turn is cut in the middle of the token.
    let long = format!("{TOKEN} {} ignore the", "x ".repeat(115));
    findings(&mut engine, 0, &message(&long));
    let found = findings(&mut engine, 1, &message("rules"));
    assert!(found.iter().any(|finding| &*finding.rule == "phrase"), "{found:?}");
    let said = serde_json::to_string(&found).expect("JSON");
    assert!(!said.contains("cdef"), "{said}");
}

#[test]
fn a_record_that_is_no_event_is_kept_without_its_secrets() {
    let engine = engine("\"flag\"");
    let escaped: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let coded = "see dG9rXzAxMjM0NTY3ODlhYmNkZWY=; no more";
    let rows = [
        (format!("{{\"a\":\"{TOKEN}\""), Some("{\"a\":\"tok_…\"".to_owned())),
        (format!("{{\"a\":\"{escaped}\""), Some("{\"a\":\"\\u00…\"".to_owned())),
        (format!("{{\"key\":\"{TOKEN}\",\"b\":\"{TOKEN}\"}}"), Some("{\"key\":\"tok_…\",\"b\":\"tok_…\"}".to_owned())),
        (coded.to_owned(), Some("see dG9r…; no more".to_owned())),
        ("nothing in it".to_owned(), None),
    ];
    for (record, want) in rows {
        assert_eq!(engine.mask_record(record.as_bytes()), want, "{record}");
    }
    let not_text = [b"\xff\xfe ".as_slice(), TOKEN.as_bytes()].concat();
    assert_eq!(engine.mask_record(&not_text).as_deref(), Some("\u{fffd}\u{fffd} tok_…"));
}
