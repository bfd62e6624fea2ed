//! Whether what follows a verb is the rest of a statement or of a sentence.
//!
//! `select a date from the calendar` is English and `select date from calendar` is SQL. Outside of SQL, names
//! that only a sentence has in their place tell the two apart; within it, a verb with its own words behind it is
//! a statement even without a semicolon, as SQL Server takes it.

use super::sql_after::After;
use super::sql_tokens::{Kind, Token};
use super::sql_words::{
    BODIES, BODY_WORDS, COMPARES, DROP_WORDS, INSERT_WORDS, LIST_WORDS, OBJECT_NAME_WORDS, OBJECT_WORDS, OBJECTS,
    RESERVED, RIGHTS, ROW_WORDS, SENTENCE, SHOWN, SHOWN_OF, TRUNCATE_WORDS, VALUES,
};

/// How many tokens behind a verb are looked at one by one.
const SHAPE_TOKENS_MAX: usize = 64;

pub(super) fn select(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["distinct", "distinctrow", "sql_calc_found_rows", "sql_no_cache", "straight_join"]);
    let at = if after.is_in(at, &["all", "top"]) && !after.is_sentence(at + 1) { at + 1 } else { at };
    let Some(token) = after.get(at) else { return false };
    if after.sql {
        return !token.is_sign(",") && !token.is_in(&["on", "to"]);
    }
    let value = after.is_sign(at, "*(-+@:?") || token.text.starts_with('@');
    if value || matches!(token.kind, Kind::Number | Kind::Text | Kind::Name) {
        return true;
    }
    if (token.is_in(&VALUES) && after.is_end(at + 1)) || token.is("case") {
        return true;
    }
    let Some(end) = after.name(at).or_else(|| (token.text.len() == 1).then_some(at + 1)) else { return false };
    let into = after.find(at, &["into"]);
    if after.is_sign(end, "(") || into.is_some_and(|into| after.is_in(into + 1, &["dumpfile", "outfile"])) {
        return true;
    }
    let source = after.find(at, &["from", "union", "where"]);
    let list = at..source.unwrap_or(usize::MAX).min(at + SHAPE_TOKENS_MAX);
    if !list.clone().all(|item| is_item(after, at, item)) {
        return false;
    }
    match source {
        Some(from) if after.is(from, "from") => after.is_table(from + 1),
        _ => list.clone().any(|at| after.is_sign(at, "(=*+|<>%:")),
    }
}

/// Whether a token belongs to a list of items: no more than two names follow each other there.
fn is_item(after: After<'_, '_>, first: usize, at: usize) -> bool {
    let Some(token) = after.get(at) else { return true };
    let is_word = |at: usize| after.is_kind(at, Kind::Word) && !after.is_in(at, &LIST_WORDS);
    let run = at >= first + 2 && is_word(at) && is_word(at - 1) && is_word(at - 2);
    let sentence = at > first && token.is_in(&SENTENCE) && !token.is_in(&LIST_WORDS) && !after.is_name(at);
    !run && !sentence && !token.is_sign("!")
}

pub(super) fn delete(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["ignore", "low_priority", "quick"]);
    if after.is(at, "top") {
        return after.is_sign(at + 1, "(") || after.is_kind(at + 1, Kind::Number);
    }
    if after.is(at, "from") {
        let at = at + 1 + usize::from(after.is(at + 1, "only"));
        return after.is_table(at) || after.name(at).is_some_and(|end| after.is_sign(end, "*."));
    }
    let Some(end) = after.name(at) else { return false };
    if after.is_end(end) {
        return true;
    }
    let end = if after.is_sign(end, ".") && after.is_sign(end + 1, "*") { end + 2 } else { end };
    let end = end + usize::from(after.is_name(end));
    if after.is_in(end, &["from", "output"]) || after.is_sign(end, ",") {
        let from = after.find(end, &["from", "output"]);
        return after.sql || from.is_some_and(|from| after.is(from, "output") || after.is_table(from + 1));
    }
    let condition = after.is(end, "where") && is_condition(after, end + 1);
    condition
        || after.is_in(end, &["option", "with"]) && after.is_sign(end + 1, "(")
        || (after.sql && after.is_in(end, &RESERVED))
}

/// Whether something is compared here.
fn is_condition(after: After<'_, '_>, from: usize) -> bool {
    (from..from + SHAPE_TOKENS_MAX).any(|at| after.is_in(at, &COMPARES) || after.is_sign(at, "=<>("))
}

pub(super) fn update(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["abort", "fail", "ignore", "low_priority", "only", "or", "replace", "rollback"]);
    let named = after.is_name(at) || after.is(at, "top") || after.is_sign(at, "(");
    let set = after.find(at, &["set"]);
    named && set.is_some_and(|set| after.is_sign(set + 1, "(") || (set + 1..set + 12).any(|at| after.is_sign(at, "=")))
}

pub(super) fn insert(after: After<'_, '_>) -> bool {
    let at = after.past(0, &INSERT_WORDS);
    let table = at + usize::from(after.is(at, "into"));
    let table = table + usize::from(after.is(table, "table") && table > 0);
    let Some(end) = after.name(table) else { return at > 0 && after.is(at, "when") };
    let end = end + usize::from(after.is(end, "as"));
    let starts = |at| after.is_in(at, &ROW_WORDS) || after.is_sign(at, "(") || after.is_kind(at, Kind::Text);
    after.is_sign(end, "(") || ((starts(end) || (after.is_name(end) && starts(end + 1))) && !after.is_sentence(end + 1))
}

pub(super) fn replace(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["delayed", "low_priority"]);
    let rows = |end| after.is_in(end, &["select", "set", "value", "values"]);
    (after.is(at, "into") && insert(after.on(at))) || (!after.sql && after.name(at).is_some_and(rows))
}

/// Where the thing ends that is created, altered or dropped.
fn object(after: After<'_, '_>) -> Option<usize> {
    let mut at = 0;
    while at < 12 && !after.is_in(at, &OBJECTS) {
        let value = at > 0 && after.is_sign(at - 1, "=@");
        if !value && !after.is_in(at, &OBJECT_WORDS) && !after.is_sign(at, "=@") {
            return None;
        }
        at += 1;
    }
    after.is_in(at, &OBJECTS).then(|| after.past(at, &OBJECTS))
}

/// Where the name behind a thing ends that ends at `at`.
fn object_name(after: After<'_, '_>, at: usize) -> Option<usize> {
    // A thing may be called like a thing.
    let called = |at: usize| after.name(at).or_else(|| after.is_kind(at, Kind::Text).then_some(at + 1));
    called(after.past(at, &OBJECT_NAME_WORDS)).or_else(|| (at > 1).then(|| called(at - 1)).flatten())
}

pub(super) fn drop(after: After<'_, '_>) -> bool {
    let Some(end) = object(after).and_then(|at| object_name(after, at)) else { return false };
    let words = after.is_kind(end, Kind::Word) && !after.is_in(end, &DROP_WORDS);
    after.sql || (!after.is_sentence(end) && (!words || after.has_signs(end)))
}

pub(super) fn create(after: After<'_, '_>) -> bool {
    let Some(at) = object(after) else { return false };
    let Some(end) = object_name(after, at).or_else(|| after.is(at, "on").then_some(at)) else { return false };
    let needs = after.is_in(at - 1, &BODIES);
    let has = after.is_sign(end, "(") || after.find(end, &BODY_WORDS).is_some();
    !after.is_sentence(end) && (has || !needs)
}

pub(super) fn alter(after: After<'_, '_>) -> bool {
    let sets = after.is_in(1, &["reset", "set"]) && after.is_in(0, &["database", "session", "system"]);
    let end = object(after).and_then(|at| object_name(after, at));
    sets || end.is_some_and(|end| !after.is_end(end) && !after.is_sentence(end))
}

pub(super) fn truncate(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["only", "table"]);
    let Some(end) = after.name(at) else { return false };
    let follows = after.is_end(end) || after.is_in(end, &TRUNCATE_WORDS) || after.is_sign(end, "*,)}");
    (after.sql && at > 0) || (follows && !after.is_sentence(end))
}

/// Whether rights go to or from somebody who is named here.
fn is_grantee(after: After<'_, '_>, at: usize) -> bool {
    after.name(at).is_some_and(|end| !after.is_sentence(end)) || after.is_kind(at, Kind::Text)
}

pub(super) fn grant(after: After<'_, '_>) -> bool {
    let right = after.is_name(0) || after.is_in(0, &RIGHTS);
    right && after.find(1, &["to"]).is_some_and(|to| is_grantee(after, to + 1))
}

pub(super) fn revoke(after: After<'_, '_>) -> bool {
    after.find(1, &["from"]).is_some_and(|from| is_grantee(after, from + 1))
}

pub(super) fn exec(after: After<'_, '_>) -> bool {
    let user = after.is(0, "as") && after.is_in(1, &["caller", "login", "owner", "self", "user"]);
    after.is_sign(0, "({") || after.is_kind(0, Kind::Text) || after.is(0, "immediate") || after.is_name(0) || user
}

/// `execute`, which is a word of sentences, too.
pub(super) fn execute(after: After<'_, '_>) -> bool {
    let Some(end) = after.name(0) else { return exec(after) };
    let call = after.get(0).is_some_and(|token| token.text.contains('_')) || end > 1;
    let string = end + usize::from(after.is_in(end, &["e", "n", "q", "u"]));
    let argument = matches!(after.get(end).map(|token| token.kind), Some(Kind::Number | Kind::Name));
    let variable = after.get(end).is_some_and(|token| token.text.starts_with('@'));
    let reserved = after.sql && after.is_in(end, &RESERVED);
    let ends = after.is_end(end) || after.is_sign(end, ",(=)}") || after.is_kind(string, Kind::Text);
    call || argument || variable || reserved || ends
}

pub(super) fn call(after: After<'_, '_>) -> bool {
    after.name(0).is_some_and(|end| after.is_end(end) || after.is_sign(end, "(}"))
}

pub(super) fn pragma(after: After<'_, '_>) -> bool {
    after.name(0).is_some_and(|end| after.is_end(end) || after.is_sign(end, "(="))
}

pub(super) fn copy(after: After<'_, '_>) -> bool {
    if after.is(0, "into") {
        return after.is_name(1) && after.find(2, &["from"]).is_some();
    }
    let query = after.is_sign(0, "(");
    let way = if query { after.find(1, &["to"]) } else { after.find(1, &["from", "to"]) };
    let named = |at| after.is_kind(at, Kind::Text) || after.is_kind(at, Kind::Name);
    let leads = |way| after.is_in(way + 1, &["program", "stdin", "stdout"]) || named(way + 1);
    (query || after.is_name(0)) && way.is_some_and(leads)
}

pub(super) fn merge(after: After<'_, '_>) -> bool {
    let table = usize::from(after.is(0, "into"));
    let using = after.find(table, &["using"]).filter(|_| after.is_name(table));
    using.is_some_and(|using| after.find(using, &["on"]).is_some())
}

pub(super) fn attach(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["database", "exists", "if", "not", "or", "replace"]);
    let quoted = after.is_kind(at, Kind::Text) || after.is_kind(at, Kind::Name) || after.is_sign(at, "?:@$");
    let named = after
        .name(at)
        .is_some_and(|end| at > 0 || (after.is(end, "as") && after.is_name(end + 1) && after.is_end(end + 2)));
    quoted || named
}

pub(super) fn load(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["concurrent", "data", "local", "low_priority", "xml"]);
    (at > 0 && after.is_in(at, &["infile", "inpath", "overwrite"])) || after.is_kind(0, Kind::Text)
}

pub(super) fn prepare(after: After<'_, '_>) -> bool {
    after.name(0).is_some_and(|end| after.is_in(end, &["as", "from"]) || after.is_sign(end, "("))
}

pub(super) fn show(after: After<'_, '_>) -> bool {
    let at = after.past(0, &["full", "global", "session"]);
    let follows = after.is_end(at + 1) || after.is_in(at + 1, &SHOWN_OF);
    after.is_in(at, &SHOWN) && follows && !after.is_sentence(at + 1)
}

/// `set` where it changes more than the session's own variables.
pub(super) fn set(after: After<'_, '_>) -> bool {
    let assigns = (1..8).any(|at| after.is_sign(at, "=")) || after.is_in(1, &["authorization", "characteristics"]);
    (after.is(0, "role") && after.is_name(1))
        || (after.is_in(0, &["global", "password", "persist", "session"]) && assigns)
        || (after.is(0, "password") && after.is(1, "for"))
}

pub(super) fn kill(after: After<'_, '_>) -> bool {
    after.is_kind(0, Kind::Number) || with_word(after, &["connection", "hard", "query", "soft"])
}

pub(super) fn shutdown(after: After<'_, '_>) -> bool {
    after.is_end(0) || after.is_in(0, &["abort", "compact", "immediate", "normal", "with"])
}

/// A verb with one of a few words behind it, which are sorted.
pub(super) fn with_word(after: After<'_, '_>, words: &[&str]) -> bool {
    after.is_in(0, words) && !after.is_end(1) && !after.is_sentence(1)
}

/// Whether a word that starts a statement starts one here.
pub(super) fn starts_sql(word: &str, after: After<'_, '_>) -> bool {
    let kind = after.get(0).map(|token| token.kind);
    let value = matches!(kind, Some(Kind::Number | Kind::Text))
        || after.get(0).is_some_and(|token| token.text.starts_with('@'));
    match word {
        "with" => {
            let at = usize::from(after.is(0, "recursive"));
            // Any name will do: the parenthesis tells.
            let named = after.is_kind(at, Kind::Word) || after.is_kind(at, Kind::Name);
            let query = after.is_sign(at + 2, "(") || after.is_in(at + 2, &["materialized", "not"]);
            named && (after.is_sign(at + 1, "(") || (after.is(at + 1, "as") && query))
        }
        "if" | "while" => value || after.is_in(0, &["exists", "not"]) || after.is_sign(0, "("),
        "set" => value || after.is_in(1, &["off", "on"]),
        "declare" => value || after.is_end(2),
        "use" => after.name(0).is_some_and(|end| after.is_in(end, &RESERVED)),
        _ => {
            value
                || after.is_end(0)
                || after.is_in(0, &RESERVED)
                || after.is_in(0, &["tran", "transaction", "try", "work"])
        }
    }
}

/// Whether a condition holds for every row: constants that are compared, or a column with itself.
pub(super) fn is_trivial(tokens: &[Token<'_>]) -> bool {
    let parens = tokens.iter().take(8).take_while(|token| token.is_sign("(")).count();
    let tokens = tokens.get(parens..).unwrap_or_default();
    let ends = |at: usize| {
        let follows = ["go", "limit", "or", "order", "output", "returning"];
        tokens.get(at).is_none_or(|token| token.is_in(&follows) || token.is_sign(")"))
    };
    let constant = |token: &Token<'_>| matches!(token.kind, Kind::Number | Kind::Text) || token.is("true");
    let Some(left) = tokens.first() else { return false };
    if ends(1) {
        return constant(left) && left.text != "0";
    }
    let Some(sign) = tokens.get(1) else { return false };
    let double = tokens.get(2).is_some_and(|token| token.kind == Kind::Sign && "=<>".contains(token.text));
    let right_at = 2 + usize::from(double);
    let Some(right) = tokens.get(right_at).filter(|_| ends(right_at + 1)) else { return false };
    let same = left.kind == right.kind && left.text.eq_ignore_ascii_case(right.text);
    let equals = sign.is("like") || sign.is("is") || (sign.is_sign("=") && !double);
    let compares = sign.kind == Kind::Sign && "=<>!".contains(sign.text);
    (equals && same)
        || (compares
            && !equals
            && ((same && !sign.is_sign("!") && double) || (!same && constant(left) && constant(right))))
}
