//! Many files → one set of rules, or every error in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compile::compile;
use super::diagnose::{Diagnostic, Diagnostics, Place};
use super::file::ListFile;
use super::lists::Lists;
use super::{Rule, RuleSet};
use crate::ids::digest_id;
use crate::limits::RULE_FILE_BYTES_MAX;

/// A rule file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Position of the folder that it came from: a rule or list of a later folder replaces one of
    /// the same name from an earlier folder.
    pub layer: usize,
}

/// Checks all files and puts them together. Either everything holds or nothing is taken.
///
/// # Errors
/// Every error of every file, each with its place.
pub fn load(files: &[SourceFile]) -> Result<RuleSet, Diagnostics> {
    let mut errors = Vec::new();
    let (list_files, rule_files): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_list_file(&file.text));
    let lists = load_lists(&list_files, &mut errors);
    let mut rules: BTreeMap<Arc<str>, (usize, Rule)> = BTreeMap::new();
    for file in rule_files {
        match checked(file, &lists) {
            Ok(Some(rule)) => take(&mut rules, file, rule, &mut errors),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(Diagnostics(errors));
    }
    let rules: Vec<Rule> = rules.into_values().map(|(_, rule)| rule).collect();
    let versions: Vec<&[u8]> = rules.iter().map(|rule| rule.version.as_bytes()).collect();
    Ok(RuleSet { hash: Arc::from(digest_id("", &versions)), rules })
}

fn is_list_file(text: &str) -> bool {
    text.lines().any(|line| ["[[list]]", "[[setting]]"].iter().any(|head| line.trim_start().starts_with(head)))
}

fn load_lists(files: &[&SourceFile], errors: &mut Vec<Diagnostic>) -> Lists {
    let mut lists = Lists::default();
    let mut layers: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for file in files {
        let place = Place { file: &file.name, text: &file.text };
        let parsed: ListFile = match toml::from_str(&file.text) {
            Ok(parsed) => parsed,
            Err(error) => {
                errors.push(place.toml_error(&error));
                continue;
            }
        };
        if *parsed.schema.get_ref() != 1 {
            errors.push(place.error(&parsed.schema.span(), "expected `schema = 1`, the only version of this format"));
        }
        let mut once = |what: &'static str, name: &toml::Spanned<String>| {
            let name_text = name.get_ref().clone();
            if layers.insert((what, name_text.clone()), file.layer) == Some(file.layer) {
                errors.push(place.error(&name.span(), format!("{what} `{name_text}` stands twice in this folder")));
            }
            name_text
        };
        for list in parsed.list {
            let name = once("list", &list.name);
            lists.lists.insert(name, list.items.into_iter().map(toml::Spanned::into_inner).collect());
        }
        for setting in parsed.setting {
            let name = once("setting", &setting.name);
            lists.settings.insert(name, setting.value.0.into_inner());
        }
    }
    lists
}

fn checked(file: &SourceFile, lists: &Lists) -> Result<Option<Rule>, Diagnostic> {
    let place = Place { file: &file.name, text: &file.text };
    if file.text.len() > RULE_FILE_BYTES_MAX {
        return Err(place.error(&(0..0), format!("expected a rule file of at most {RULE_FILE_BYTES_MAX} bytes")));
    }
    compile(place, lists)
}

fn take(rules: &mut BTreeMap<Arc<str>, (usize, Rule)>, file: &SourceFile, rule: Rule, errors: &mut Vec<Diagnostic>) {
    if let Some((layer, other)) = rules.get(&rule.id)
        && *layer == file.layer
    {
        let place = Place { file: &file.name, text: &file.text };
        let at = file.text.find("id").unwrap_or(0);
        errors.push(
            place.error(&(at..at), format!("rule `{}` stands in {}, too: expected each id once", rule.id, other.file)),
        );
        return;
    }
    rules.insert(rule.id.clone(), (file.layer, rule));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "schema = 1\nid = \"a-rule\"\ntitle = \"t\"\nseverity = \"high\"\naction = \"flag\"\n";

    fn file(name: &str, layer: usize, text: impl Into<String>) -> SourceFile {
        SourceFile { name: name.to_owned(), text: text.into(), layer }
    }

    fn error_of(body: &str) -> String {
        let files = [file("r.toml", 0, format!("{HEAD}{body}")), file("lists.toml", 0, LISTS)];
        load(&files).expect_err(body).to_string()
    }

    const LISTS: &str = "schema = 1\n[[list]]\nname = \"refund_tools\"\nitems = [\"*refund*\", \"@other\"]\n\
        [[list]]\nname = \"other\"\nitems = [\"payout\"]\n[[list]]\nname = \"loop\"\nitems = [\"@loop\"]\n";

    #[test]
    fn errors_point_at_the_place_and_say_how_to_mend_it() {
        let rows = [
            (
                "[rate]\ngroup_by = \"session\"\nwindw = \"5m\"\ncount_at_least = 3\n",
                "r.toml:8:1: unknown field `windw`",
                "did you mean `window`?",
            ),
            (
                "[rate]\ngroup_by = \"sesion\"\nwindow = \"5m\"\ncount_at_least = 3\n",
                "r.toml:7:12: expected one of `session`",
                "did you mean `session`?",
            ),
            (
                "[rate]\ngroup_by = \"session\"\nwindow = \"5 min\"\ncount_at_least = 3\n",
                "r.toml:8:10: expected a duration",
                "`5m`",
            ),
            (
                "[rate]\ngroup_by = \"session\"\nwindow = \"5m\"\n",
                "r.toml:6:1: expected either `count_at_least`",
                "`sum_above`",
            ),
            ("[match]\nphrases = []\n", "r.toml:6:1: expected `phrases`", "`keywords`"),
            ("[match]\nregex = \"a(\"\nkeywords = \"abc\"\n", "r.toml:7:9: bad regex", "unclosed group"),
            ("[match]\nregex = \"abc\"\n", "r.toml:6:1: expected `keywords` and `regex` together", ""),
            (
                "[when]\nkind = [\"tool_cal\"]\n[match]\nphrases = \"xyz\"\n",
                "r.toml:7:9: expected one of `message`",
                "did you mean `tool_call`?",
            ),
            (
                "[when]\ntool = \"@refund_tool\"\n[match]\nphrases = \"xyz\"\n",
                "r.toml:7:8: no list is called",
                "did you mean `@refund_tools`?",
            ),
            ("[when]\ntool = \"@loop\"\n[match]\nphrases = \"xyz\"\n", "r.toml:7:8: list `@loop` names itself", ""),
            ("[scope]\nfield = \"arg.x\"\nabove = 3\n", "r.toml:7:9: expected a path", "`args`"),
            ("", "r.toml:2:6: expected exactly one of the tables", "[match]"),
            (
                "[match]\nphrases = \"xyz\"\n[[case]]\nname = \"c\"\nevents = '{}'\nexpect = \"halted\"\n",
                "r.toml:11:10: expected one of",
                "did you mean `halt`?",
            ),
            ("oops", "r.toml:6:", "expected"),
        ];
        for (body, start, hint) in rows {
            let error = error_of(body);
            assert!(error.starts_with(start) && error.contains(hint), "{body}\n{error}");
        }
    }

    #[test]
    fn a_later_folder_replaces_an_earlier_rule_and_list() {
        let rule = format!("{HEAD}[when]\ntool = \"@refund_tools\"\n[match]\nphrases = \"xyz\"\n");
        let stricter = rule.replace("\"flag\"", "\"halt\"");
        let mine = "schema = 1\n[[list]]\nname = \"refund_tools\"\nitems = [\"mine\"]\n";
        let files =
            [file("a.toml", 0, &rule), file("l.toml", 0, LISTS), file("b.toml", 1, &stricter), file("m.toml", 1, mine)];
        let set = load(&files).expect("two layers");
        assert_eq!(set.rules.len(), 1);
        assert_eq!(set.rules[0].action.as_str(), "halt");
        assert_eq!(set.rules[0].when.tools, [super::super::Glob::new("mine")]);
        let twice = load(&[file("a.toml", 0, &rule), file("b.toml", 0, &rule), file("l.toml", 0, LISTS)]);
        assert!(twice.expect_err("same folder").to_string().contains("expected each id once"));
    }

    #[test]
    fn every_broken_file_is_named() {
        let files = [file("a.toml", 0, "x"), file("b.toml", 0, "y")];
        let Diagnostics(errors) = load(&files).expect_err("both are broken");
        assert_eq!(errors.iter().map(|e| e.file.as_str()).collect::<Vec<_>>(), ["a.toml", "b.toml"]);
    }

    #[test]
    fn lists_change_the_version_of_the_rules_that_use_them() {
        let rule = format!("{HEAD}[match]\nphrases = \"@words\"\n");
        let words =
            |items: &str| file("l.toml", 0, format!("schema = 1\n[[list]]\nname = \"words\"\nitems = [{items}]\n"));
        let version = |items| load(&[file("a.toml", 0, &rule), words(items)]).expect("good").rules[0].version.clone();
        assert_ne!(version("\"one\""), version("\"two\""));
        assert_eq!(version("\"one\""), version("\"one\""));
    }
}
