//! Words of SQL and of sentences, in lower case and sorted.

/// Words in the place of a name that only sentences have there.
#[rustfmt::skip]
pub(super) const SENTENCE: [&str; 38] = [
    "a", "all", "an", "another", "any", "anything", "are", "because", "everything", "he", "her", "him", "his", "i",
    "it", "its", "me", "my", "nothing", "our", "please", "she", "some", "that", "the", "their", "them", "there",
    "these", "they", "this", "those", "us", "we", "what", "which", "you", "your",
];

/// Words behind a name that sentences go on with.
pub(super) const BETWEEN: [&str; 11] = ["and", "as", "at", "by", "for", "if", "in", "of", "so", "to", "with"];

/// Keywords that are no names.
#[rustfmt::skip]
pub(super) const RESERVED: [&str; 55] = [
    "alter", "and", "as", "begin", "by", "case", "create", "cross", "declare", "delete", "desc", "drop", "else", "end",
    "exec", "execute", "fetch", "for", "from", "full", "go", "grant", "group", "having", "if", "in", "inner", "insert",
    "into", "join", "left", "limit", "merge", "not", "offset", "on", "option", "or", "order", "output", "returning",
    "revoke", "right", "select", "set", "then", "to", "union", "update", "using", "values", "when", "where", "while",
    "with",
];

/// Words that may stand behind a table besides.
#[rustfmt::skip]
pub(super) const CLAUSES: [&str; 37] = [
    "anti", "any", "array", "asof", "at", "cluster", "connect", "distribute", "except", "final", "force", "format",
    "global", "ignore", "intersect", "lateral", "lock", "minus", "natural", "only", "partition", "pivot", "prewhere",
    "procedure", "qualify", "sample", "semi", "settings", "skip", "sort", "start", "straight_join", "tablesample",
    "unpivot", "use", "version", "window",
];

/// Words between `select` and its items that are no names.
#[rustfmt::skip]
pub(super) const LIST_WORDS: [&str; 58] = [
    "all", "and", "array", "as", "asc", "at", "between", "binary", "by", "case", "cast", "collate", "current", "desc",
    "distinct", "div", "else", "end", "escape", "exists", "filter", "first", "following", "for", "from", "group",
    "ignore", "ilike", "in", "interval", "is", "last", "like", "mod", "next", "not", "null", "nulls", "or", "order",
    "over", "partition", "percent", "preceding", "range", "regexp", "respect", "rlike", "row", "rows", "then", "time",
    "unbounded", "value", "when", "within", "xor", "zone",
];

/// Values without parentheses that a statement may ask for alone.
#[rustfmt::skip]
pub(super) const VALUES: [&str; 12] = [
    "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
    "current_user", "null", "session_user", "sysdate", "system_user", "user",
];

/// Things that are created, altered and dropped.
#[rustfmt::skip]
pub(super) const OBJECTS: [&str; 86] = [
    "aggregate", "assembly", "authorization", "broker", "bucket", "cast", "catalog", "certificate", "cluster",
    "collation", "collection", "column_family", "connection", "constraint", "context", "contract", "conversion",
    "credential", "database", "default", "dictionary", "dimension", "directory", "domain", "endpoint", "event",
    "extension", "format", "function", "graph", "group", "index", "indextype", "job", "key", "keyspace", "language",
    "library", "link", "login", "macro", "masking", "method", "model", "namespace", "node", "operator", "outline",
    "owned", "package", "pipe", "policy", "pool", "privileges", "procedure", "profile", "publication", "queue", "role",
    "routine", "rule", "schema", "search", "secret", "sequence", "server", "service", "share", "signature", "snapshot",
    "stage", "statistics", "stream", "subscription", "synonym", "system", "table", "tablespace", "task", "transform",
    "trigger", "type", "user", "view", "warehouse", "wrapper",
];

/// Words before the thing that is created, altered or dropped.
#[rustfmt::skip]
pub(super) const OBJECT_WORDS: [&str; 48] = [
    "access", "algorithm", "alter", "application", "asymmetric", "bitmap", "clustered", "columnstore", "concurrently",
    "configuration", "data", "definer", "editionable", "encryption", "external", "force", "foreign", "fulltext",
    "global", "local", "master", "materialized", "no", "nonclustered", "of", "online", "or", "parser", "private",
    "procedural", "public", "recursive", "remote", "replace", "resource", "security", "spatial", "sql", "storage",
    "symmetric", "temp", "template", "temporary", "text", "transient", "unique", "unlogged", "virtual",
];

/// Things that need more than a name.
pub(super) const BODIES: [&str; 6] = ["function", "index", "procedure", "table", "trigger", "view"];

/// What the body of such a thing starts with.
pub(super) const BODY_WORDS: [&str; 9] = ["as", "begin", "clone", "from", "like", "on", "return", "returns", "using"];

/// Words between a thing and its name.
#[rustfmt::skip]
pub(super) const OBJECT_NAME_WORDS: [&str; 11] = [
    "body", "by", "concurrently", "data", "exists", "family", "for", "if", "mapping", "not", "only",
];

/// Words behind what is dropped.
#[rustfmt::skip]
pub(super) const DROP_WORDS: [&str; 9] = [
    "cascade", "force", "from", "including", "no", "on", "purge", "restrict", "sync",
];

/// Words behind what is truncated.
#[rustfmt::skip]
pub(super) const TRUNCATE_WORDS: [&str; 12] = [
    "cascade", "continue", "drop", "immediate", "on", "partition", "preserve", "purge", "restart", "restrict", "reuse",
    "with",
];

/// Words between `insert` and `into`.
#[rustfmt::skip]
pub(super) const INSERT_WORDS: [&str; 12] = [
    "abort", "all", "delayed", "fail", "first", "high_priority", "ignore", "low_priority", "or", "overwrite", "replace",
    "rollback",
];

/// Words that rows to insert start with.
#[rustfmt::skip]
pub(super) const ROW_WORDS: [&str; 13] = [
    "default", "exec", "execute", "format", "output", "overriding", "partition", "select", "set", "table", "value",
    "values", "with",
];

/// Rights without a name.
#[rustfmt::skip]
pub(super) const RIGHTS: [&str; 10] = [
    "all", "alter", "create", "delete", "drop", "execute", "grant", "insert", "select", "update",
];

/// What `show` shows.
#[rustfmt::skip]
pub(super) const SHOWN: [&str; 11] = [
    "columns", "create", "databases", "grants", "index", "processlist", "schemas", "status", "tables", "users",
    "variables",
];

/// Words behind what `show` shows.
pub(super) const SHOWN_OF: [&str; 9] = ["database", "for", "from", "in", "like", "table", "user", "view", "where"];

/// What `explain` explains.
pub(super) const EXPLAINED: [&str; 8] = ["delete", "execute", "insert", "merge", "replace", "select", "update", "with"];

/// Options of `explain`.
#[rustfmt::skip]
pub(super) const EXPLAIN_WORDS: [&str; 19] = [
    "analyse", "analyze", "buffers", "costs", "extended", "false", "format", "generic_plan", "json", "off", "on",
    "plan", "query", "settings", "text", "timing", "true", "verbose", "wal",
];

/// Words that a condition compares with.
pub(super) const COMPARES: [&str; 8] = ["between", "current", "exists", "in", "is", "like", "not", "true"];

/// Words that a statement follows.
#[rustfmt::skip]
pub(super) const OPENERS: [&str; 11] = [
    "all", "as", "atomic", "begin", "do", "else", "go", "loop", "then", "try", "union",
];

/// Words that start statements which do nothing by themselves, but show that there is SQL.
#[rustfmt::skip]
pub(super) const STARTERS: [&str; 22] = [
    "begin", "checkpoint", "close", "commit", "dbcc", "deallocate", "declare", "fetch", "go", "if", "open", "print",
    "raiserror", "return", "rollback", "save", "set", "throw", "use", "waitfor", "while", "with",
];

/// Words behind a verb that a trigger, a key or a lock waits for.
pub(super) const WAITING: [&str; 11] =
    ["as", "cascade", "no", "nowait", "of", "on", "or", "restrict", "set", "skip", "to"];

/// Words whose places in a statement are known.
#[rustfmt::skip]
pub(super) const PLACED: [&str; 15] = [
    "as", "begin", "clone", "from", "into", "like", "on", "output", "return", "returns", "set", "to", "union", "using",
    "where",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        let lists: [&[&str]; 25] = [
            &SENTENCE,
            &BETWEEN,
            &RESERVED,
            &CLAUSES,
            &LIST_WORDS,
            &VALUES,
            &OBJECTS,
            &OBJECT_WORDS,
            &BODIES,
            &BODY_WORDS,
            &OBJECT_NAME_WORDS,
            &DROP_WORDS,
            &TRUNCATE_WORDS,
            &INSERT_WORDS,
            &ROW_WORDS,
            &RIGHTS,
            &SHOWN,
            &SHOWN_OF,
            &EXPLAINED,
            &EXPLAIN_WORDS,
            &COMPARES,
            &OPENERS,
            &STARTERS,
            &WAITING,
            &PLACED,
        ];
        for list in lists {
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
        }
    }
}
