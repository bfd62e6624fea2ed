//! The house stays as it is drawn in `lib.rs`: imports go downwards, the lower floors touch nothing
//! outside, files stay readable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The floor of each module of `src/`.
const FLOORS: [(&str, u8); 19] = [
    ("limits", 0),
    ("time", 0),
    ("ids", 0),
    ("event", 0),
    ("finding", 0),
    ("halt", 0),
    ("text", 1),
    ("corpus", 1),
    ("rules", 2),
    ("scan", 3),
    ("classify", 3),
    ("window", 4),
    ("detect", 4),
    ("engine", 5),
    ("io", 6),
    ("config", 7),
    ("shard", 7),
    ("worker", 7),
    ("app", 7),
];

/// What floors 0 to 5 must not name: they are pure.
const FORBIDDEN_BELOW_IO: [&str; 12] = [
    "tokio",
    "rdkafka",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "Instant",
    "SystemTime",
    "getrandom",
    "rand::",
    "println!",
    "collections::HashMap",
];

/// What `window` and `detect` must not know.
const FORBIDDEN_FOR_DETECTORS: [&str; 4] = ["crate::text", "crate::rules", "crate::scan", "crate::event"];

const FILE_LINES_MAX: usize = 500;

struct Source {
    path: PathBuf,
    /// First folder or file name below `src`.
    module: String,
    /// The code without its tests.
    code: String,
    whole: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.into_iter().map(|path| read(&root, path)).collect()
}

fn read(root: &Path, path: PathBuf) -> Source {
    let whole = std::fs::read_to_string(&path).expect("UTF-8");
    let below = path.strip_prefix(root).expect("lies below").to_path_buf();
    let first = below.components().next().expect("has a name").as_os_str().to_string_lossy().into_owned();
    let code = whole.split("#[cfg(test)]\nmod tests").next().expect("first part").to_owned();
    Source { path: below, module: first.trim_end_matches(".rs").to_owned(), code, whole }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn is_test_file(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
}

/// Fails with all problems at once.
fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn imports_go_downwards() {
    let floors = BTreeMap::from(FLOORS);
    let mut problems = Vec::new();
    for source in sources() {
        if ["lib", "main", "cli"].contains(&source.module.as_str()) || is_test_file(&source.path) {
            continue;
        }
        let Some(own) = floors.get(source.module.as_str()) else {
            problems.push(format!(
                "{}: module `{}` has no floor in tests/tidy.rs",
                source.path.display(),
                source.module
            ));
            continue;
        };
        for piece in source.code.split("crate::").skip(1) {
            let name: String = piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            match floors.get(name.as_str()) {
                Some(floor) if floor <= own => {}
                Some(floor) => problems
                    .push(format!("{}: floor {own} must not import `{name}` of floor {floor}", source.path.display())),
                None => problems.push(format!("{}: `crate::{name}` has no floor", source.path.display())),
            }
        }
    }
    report(problems);
}

#[test]
fn the_lower_floors_are_pure() {
    let floors = BTreeMap::from(FLOORS);
    let mut problems = Vec::new();
    for source in sources() {
        let code = code_without_comments(&source.code);
        let mut forbid = |words: &[&str], why: &str| {
            for word in words.iter().filter(|word| code.contains(**word)) {
                problems.push(format!("{}: `{word}` {why}", source.path.display()));
            }
        };
        if floors.get(source.module.as_str()).is_some_and(|floor| *floor <= 5) && !is_test_file(&source.path) {
            forbid(&FORBIDDEN_BELOW_IO, "is not for floors 0 to 5: they are pure");
        }
        if ["window", "detect"].contains(&source.module.as_str()) {
            forbid(&FORBIDDEN_FOR_DETECTORS, "is not for detectors: they get keys, times and amounts");
        }
    }
    report(problems);
}

#[test]
fn files_open_with_what_they_are_and_stay_readable() {
    let mut problems = Vec::new();
    for source in sources() {
        let name = source.path.display();
        if !source.whole.starts_with("//!") {
            problems.push(format!("{name}: expected `//!` on the first line, saying what the file is"));
        }
        let lines = source.code.lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{name}: {lines} lines without tests, at most {FILE_LINES_MAX}"));
        }
    }
    let main = sources().into_iter().find(|source| source.module == "main").expect("main.rs");
    assert!(main.whole.lines().count() < 100, "main.rs stays under 100 lines");
    report(problems);
}

#[test]
fn functions_are_short() {
    const FUNCTION_LINES_MAX: usize = 70;
    let mut problems = Vec::new();
    for source in sources() {
        for (name, lines) in functions(&source.code) {
            if lines > FUNCTION_LINES_MAX {
                problems.push(format!(
                    "{}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}",
                    source.path.display()
                ));
            }
        }
    }
    report(problems);
}

/// Names and lengths of functions, by rustfmt's indentation: a function ends at the first closing brace
/// that is indented like its `fn`.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let Some(name) = line.split("fn ").nth(1).filter(|_| is_function(line)) else { continue };
        let end = lines[start..].iter().position(|later| *later == format!("{}}}", " ".repeat(indent)));
        let name = name.split(['(', '<']).next().unwrap_or(name).to_owned();
        found.extend(end.map(|end| (name, end + 1)));
    }
    found
}

fn is_function(line: &str) -> bool {
    let line = line.trim_start();
    ["fn ", "pub fn ", "pub(", "async fn ", "pub async fn ", "const fn ", "pub const fn "]
        .iter()
        .any(|start| line.starts_with(start))
}

fn code_without_comments(code: &str) -> String {
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}
