//! The packs: every rule is tested by its own cases, named after its file, and explained.

use std::path::Path;
use std::sync::Arc;

use haltline::engine::{Program, run_cases};
use haltline::io::rule_files;
use haltline::rules::{RuleSet, load};

fn packs() -> RuleSet {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let files = rule_files::from_path(&folder).expect("rule files");
    load(&files).unwrap_or_else(|errors| panic!("\n{errors}"))
}

#[test]
fn every_case_passes() {
    let program = Arc::new(Program::new(Arc::new(packs())).expect("not too many patterns"));
    let (total, failures) = run_cases(&program);
    let failures: Vec<String> =
        failures.iter().map(|f| format!("{}:{}: {}: {}", f.file, f.line, f.case, f.message)).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(total >= 1_000, "only {total} cases");
}

#[test]
fn rules_that_are_shipped_switched_off_pass_their_cases_when_switched_on() {
    const OFF: &str = "\nenabled = false\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut files = rule_files::from_path(&folder).expect("rule files");
    files.retain(|file| {
        file.text.contains(OFF) || ["[[list]]", "[[setting]]"].iter().any(|head| file.text.contains(head))
    });
    files.iter_mut().for_each(|file| file.text = file.text.replace(OFF, "\n"));
    let set = load(&files).unwrap_or_else(|errors| panic!("\n{errors}"));
    assert!(set.rules.len() >= 5, "only {} rules", set.rules.len());
    let (total, failures) = run_cases(&Arc::new(Program::new(Arc::new(set)).expect("few patterns")));
    assert!(failures.is_empty() && total >= 10, "{total} cases: {failures:#?}");
}

#[test]
fn every_rule_is_named_explained_and_has_an_honest_twin() {
    for rule in packs().rules {
        let stem = Path::new(&rule.file).file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(stem, *rule.id, "{}: a rule's file is named after it", rule.file);
        assert!(rule.description.len() > 40 && !rule.tags.is_empty(), "{}: description and tags", rule.file);
        let fires = rule.cases.iter().filter(|case| case.expected.action.is_some()).count();
        assert!(fires > 0 && fires < rule.cases.len(), "{}: a case that fires and one that must not", rule.file);
        let asks = |action| action == rule.action || rule.raises.iter().any(|raise| raise.action == action);
        for case in &rule.cases {
            assert!(case.expected.action.is_none_or(asks), "{}: {}: no action of the rule", rule.file, case.name);
        }
    }
}

#[test]
fn the_built_in_packs_are_the_files() {
    assert_eq!(load(&rule_files::built_in()).expect("good").hash, packs().hash);
}
