//! The verbs of the SQL statements in a text.
//!
//! A text is read as three families of databases read it, and the verbs of all readings count: what is a comment
//! or a string to one is a statement to another. Statements are found at the start of the text, of a line, behind
//! `;` and `(`, and, as soon as there is SQL, anywhere, because SQL Server needs no semicolons. What functions do
//! (`pg_read_file`, `lo_export`) is not known here.

use std::collections::VecDeque;

use super::sql_after::{After, Places};
use super::sql_shapes as shapes;
use super::sql_tokens::{DIALECTS, Kind, Token, is_ambiguous, tokens};
use super::sql_words::{EXPLAIN_WORDS, EXPLAINED, OPENERS, STARTERS, WAITING};

/// How deep statements in strings are looked for.
const NESTING_MAX: usize = 4;

/// Most bytes that are read of strings that are run, as a multiple of the text's length.
const GROWTH_MAX: usize = 32;

/// How far behind a verb the strings are that it runs, in tokens.
const STRING_TOKENS_MAX: usize = 32;

/// The shape that a verb needs behind it.
type Shape = fn(After<'_, '_>) -> bool;

/// The verbs and their shapes, by the word in the text.
#[rustfmt::skip]
const VERBS: [(&str, &str, Shape); 38] = [
    ("alter", "alter", shapes::alter),
    ("attach", "attach", shapes::attach),
    ("backup", "backup", |after| shapes::with_word(after, &["database", "log"])),
    ("bulk", "insert", |after| shapes::with_word(after, &["insert"])),
    ("call", "call", shapes::call),
    ("copy", "copy", shapes::copy),
    ("create", "create", shapes::create),
    ("delete", "delete", shapes::delete),
    ("deny", "deny", shapes::grant),
    ("detach", "detach", shapes::attach),
    ("do", "do", |after| shapes::load(after) || shapes::with_word(after, &["language"])),
    ("drop", "drop", shapes::drop),
    ("exec", "exec", shapes::exec),
    ("execute", "exec", shapes::execute),
    ("export", "export", |after| shapes::with_word(after, &["data", "database"])),
    ("grant", "grant", shapes::grant),
    ("import", "import", |after| shapes::with_word(after, &["database", "foreign"])),
    ("insert", "insert", shapes::insert),
    ("kill", "kill", shapes::kill),
    ("load", "load", shapes::load),
    ("lock", "lock", |after| shapes::with_word(after, &["table", "tables"])),
    ("merge", "merge", shapes::merge),
    ("pragma", "pragma", shapes::pragma),
    ("prepare", "prepare", shapes::prepare),
    ("reassign", "alter", |after| shapes::with_word(after, &["owned"])),
    ("rename", "rename", |after| shapes::with_word(after, &["database", "schema", "table", "user"])),
    ("replace", "replace", shapes::replace),
    ("restore", "restore", |after| shapes::with_word(after, &["database", "log"])),
    ("revoke", "revoke", shapes::revoke),
    ("select", "select", shapes::select),
    ("set", "set", shapes::set),
    ("show", "show", shapes::show),
    ("shutdown", "shutdown", shapes::shutdown),
    ("truncate", "truncate", shapes::truncate),
    ("unload", "unload", shapes::copy),
    ("update", "update", shapes::update),
    ("upsert", "insert", shapes::insert),
    ("vacuum", "vacuum", |after| shapes::with_word(after, &["analyze", "full", "into"])),
];

/// The verbs that statements in a text would run, in lower case, each once, in the order in which they are
/// found; none where the text is no SQL. Besides the verbs themselves: `delete-all` and `update-all` where no
/// condition limits the rows, `select-into` and `outfile` where a query writes, `copy-program` and `shell` where a
/// command is run. Linear in the text.
///
/// ```
/// use haltline::text::extract::sql_verbs;
/// assert_eq!(sql_verbs("WITH x AS (SELECT 1) DELETE FROM t"), ["select", "delete", "delete-all"]);
/// assert!(sql_verbs("please select a delivery date").is_empty());
/// ```
#[must_use]
pub fn sql_verbs(text: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut queue = VecDeque::from([(text.to_owned(), 0)]);
    let mut budget = text.len().saturating_mul(GROWTH_MAX);
    while let Some((text, depth)) = queue.pop_front() {
        let Some(left) = budget.checked_sub(text.len()) else { break };
        budget = left;
        let mut inner = Vec::new();
        let strings = read(&text, &mut found, &mut inner);
        if depth < NESTING_MAX {
            inner.sort_unstable();
            inner.dedup();
            queue.extend(inner.into_iter().map(|text| (text, depth + 1)));
        }
        // No SQL by itself: a command or a piece of code may hold some.
        if found.is_empty() && depth == 0 {
            queue.extend(strings.into_iter().map(|text| (text, NESTING_MAX)));
        }
    }
    found
}

fn add(verb: &'static str, found: &mut Vec<&'static str>) {
    if !found.contains(&verb) {
        found.push(verb);
    }
}

/// Reads a text as each family does. Strings that its statements run are added to `inner`; what stands in
/// quotes is returned.
fn read(text: &str, found: &mut Vec<&'static str>, inner: &mut Vec<String>) -> Vec<String> {
    let mut quoted = Vec::new();
    let dialects = if is_ambiguous(text) { DIALECTS.len() } else { 1 };
    for (order, dialect) in DIALECTS.into_iter().take(dialects).enumerate() {
        let tokens = tokens(text, dialect);
        for statement in tokens.split(|token| token.is_sign(";")) {
            Statement::new(statement, found, inner).run();
        }
        if order == 0 && found.is_empty() {
            let strings = tokens.iter().filter(|token| matches!(token.kind, Kind::Text | Kind::Name));
            quoted.extend(strings.map(|token| token.text.to_owned()));
        }
    }
    quoted
}

/// A statement that is being read and has rows to limit.
struct Limited {
    verb: &'static str,
    depth: usize,
    /// Whether there is a condition, and it is one.
    limited: bool,
}

struct Statement<'a, 't, 'f> {
    tokens: &'a [Token<'t>],
    places: Places,
    found: &'f mut Vec<&'static str>,
    /// Strings that are run.
    inner: &'f mut Vec<String>,
    /// Whether there was SQL before.
    sql: bool,
    depth: usize,
    open: Vec<Limited>,
    /// The verb last found, and how deep in parentheses.
    last: (&'static str, usize),
}

impl<'a, 't, 'f> Statement<'a, 't, 'f> {
    fn new(tokens: &'a [Token<'t>], found: &'f mut Vec<&'static str>, inner: &'f mut Vec<String>) -> Self {
        Self {
            tokens,
            places: Places::new(tokens),
            found,
            inner,
            sql: false,
            depth: 0,
            open: Vec::new(),
            last: ("", 0),
        }
    }

    fn run(mut self) {
        for at in 0..self.tokens.len() {
            let Some(token) = self.tokens.get(at) else { break };
            match (token.kind, token.text) {
                (Kind::Sign, "(") => self.depth += 1,
                (Kind::Sign, ")") => {
                    self.depth = self.depth.saturating_sub(1);
                    self.close(self.depth + 1);
                }
                (Kind::Sign, "\\" | ".") if token.first => self.client(at),
                (Kind::Word, _) if self.word(at, token) => break,
                _ => {}
            }
        }
        self.close(0);
    }

    fn rest(&self, at: usize) -> &'a [Token<'t>] {
        self.tokens.get(at..).unwrap_or_default()
    }

    /// What comes at a place.
    fn after(&self, at: usize) -> After<'_, 't> {
        After::new(self.tokens, &self.places, at, self.sql)
    }

    fn before(&self, at: usize) -> Option<&'a Token<'t>> {
        at.checked_sub(1).and_then(|before| self.tokens.get(before))
    }

    /// Ends the statements at this depth of parentheses and deeper.
    fn close(&mut self, depth: usize) {
        while let Some(ended) = self.open.pop_if(|open| open.depth >= depth) {
            if !ended.limited {
                add(if ended.verb == "delete" { "delete-all" } else { "update-all" }, self.found);
            }
        }
    }

    /// Reads a word; true where nothing of the rest is run.
    fn word(&mut self, at: usize, token: &Token<'t>) -> bool {
        let before = self.before(at);
        let starts = token.first
            || before.is_none_or(|before| {
                before.is_in(&OPENERS) || (before.kind == Kind::Sign && "(:`>{".contains(before.text))
            });
        let lower = if token.text.len() <= 16 { token.text.to_ascii_lowercase() } else { String::new() };
        if let Ok(known) = VERBS.binary_search_by_key(&lower.as_str(), |verb| verb.0) {
            if let Some((_, verb, shape)) = VERBS.get(known) {
                self.verb(at, verb, *shape, starts);
            }
            return false;
        }
        match lower.as_str() {
            "where" => self.condition(at),
            "or" if self.open.last().is_some_and(|open| open.depth == self.depth) => {
                let always = shapes::is_trivial(self.rest(at + 1));
                if let Some(open) = self.open.last_mut().filter(|_| always) {
                    open.limited = false;
                }
            }
            "into" if self.last == ("select", self.depth) => self.into(at),
            "program" if self.last.0 == "copy" => add("copy-program", self.found),
            "load_extension" if self.sql => add("load", self.found),
            "xp_cmdshell" if self.sql => add("exec", self.found),
            "explain" if starts => return self.explain(at),
            "table" if at == 0 && self.tokens.len() == 2 && self.after(1).is_name(0) => add("select", self.found),
            word if starts && STARTERS.binary_search(&word).is_ok() => {
                self.sql |= shapes::starts_sql(word, self.after(at + 1));
            }
            _ => {}
        }
        false
    }

    fn verb(&mut self, at: usize, verb: &'static str, shape: Shape, starts: bool) {
        let before = self.before(at);
        if verb == "set" && starts {
            self.sql |= shapes::starts_sql("set", self.after(at + 1));
        }
        // What is done with rows that are there already, or not: the statement's own condition limits it.
        let merges = self.last.0 == "merge" && before.is_some_and(|before| before.is("then"));
        let meets = self.last.0 == "insert" && before.is_some_and(|before| before.is_in(&["do", "key"]));
        if self.sql && (merges && ["delete", "insert", "update"].contains(&verb) || meets && verb == "update") {
            add(verb, self.found);
            return;
        }
        let replaces = verb == "replace" && before.is_some_and(|before| before.is("or"));
        // Rights that are given or taken, and what a trigger or a key waits for.
        let rights = matches!(self.last.0, "grant" | "revoke" | "deny");
        let right = rights && before.is_some_and(|b| b.is_sign(",") || b.is_in(&["deny", "for", "grant", "revoke"]));
        let waits = before.is_some_and(|before| before.is_in(&["after", "before", "for", "key", "of", "on"]))
            && self.tokens.get(at + 1).is_none_or(|next| next.is_in(&WAITING) || next.is_sign(","));
        if replaces || right || waits || !(starts || self.sql) {
            return;
        }
        if !shape(self.after(at + 1)) {
            return;
        }
        self.sql = true;
        self.close(self.depth);
        if matches!(verb, "delete" | "update") {
            self.open.push(Limited { verb, depth: self.depth, limited: false });
        }
        self.last = (verb, self.depth);
        if verb != "prepare" {
            add(verb, self.found);
        }
        if matches!(verb, "exec" | "prepare" | "do") {
            self.strings(at);
        }
    }

    fn condition(&mut self, at: usize) {
        let limits = !shapes::is_trivial(self.rest(at + 1));
        if let Some(open) = self.open.last_mut().filter(|open| open.depth == self.depth) {
            open.limited = limits;
        }
    }

    /// Reads where a query puts its rows.
    fn into(&mut self, at: usize) {
        let next = After::new(self.tokens, &self.places, at + 1, true);
        let variable = next.get(0).is_some_and(|token| token.text.starts_with('@'));
        let (file, table) = (next.is_in(0, &["dumpfile", "outfile"]), next.is_name(0) && !variable);
        if file || table {
            add(if file { "outfile" } else { "select-into" }, self.found);
        }
    }

    /// Reads `explain`; true where the statement behind it is not run.
    fn explain(&mut self, at: usize) -> bool {
        let rest = self.rest(at + 1);
        let verb = rest.iter().take(STRING_TOKENS_MAX).position(|token| token.is_in(&EXPLAINED));
        let Some(verb) = verb else { return false };
        let options = rest.get(..verb).unwrap_or_default();
        let plain = options.iter().all(|token| token.kind != Kind::Word || token.is_in(&EXPLAIN_WORDS));
        let after = self.after(at + 2 + verb);
        let known = VERBS.iter().find(|known| rest.get(verb).is_some_and(|token| token.is(known.0)));
        let sound = known.map_or_else(|| shapes::starts_sql("with", after), |(_, _, shape)| shape(after));
        if !plain || !sound {
            return false;
        }
        self.sql = true;
        add("explain", self.found);
        !options.iter().any(|token| token.is_in(&["analyse", "analyze"]))
    }

    /// Takes the strings that a verb runs, each and all of them together.
    fn strings(&mut self, at: usize) {
        let next = |token: &&Token<'_>| !token.is_in(&["do", "exec", "execute", "prepare"]);
        let near = self.rest(at + 1).iter().take(STRING_TOKENS_MAX).take_while(next);
        let pieces: Vec<&str> = near.filter(|token| token.kind == Kind::Text).map(|token| token.text).collect();
        let whole = pieces.concat();
        for piece in pieces.into_iter().chain([whole.as_str()]) {
            self.inner.push(piece.to_owned());
            self.inner.push(piece.replace("''", "'").replace("\\'", "'"));
        }
    }

    /// Reads a command of a database's own client.
    fn client(&mut self, at: usize) {
        let Some(next) = self.tokens.get(at + 1).filter(|next| !next.first) else { return };
        let sign = self.tokens.get(at).map_or("", |token| token.text);
        let verb = match (sign, next.text) {
            ("\\", "copy") => "copy",
            ("\\", "!") | (".", "shell" | "system") => "shell",
            (".", "import" | "load") => "load",
            _ => return,
        };
        self.sql = true;
        add(verb, self.found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check_rows;
    use super::*;

    fn check(rows: &[(&str, &str)]) {
        check_rows(rows, |text| sql_verbs(text).join(" "));
    }

    #[test]
    fn the_verbs_are_sorted() {
        assert!(VERBS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn statements_have_verbs() {
        check(&[
            ("SELECT 1", "select"),
            ("select * from users", "select"),
            ("SELECT name FROM users", "select"),
            ("select a, b as c, count(*) from t where x = 1 group by a", "select"),
            ("SELECT DISTINCT u.id FROM users u JOIN orders o ON o.u = u.id", "select"),
            ("select a from t", "select"),
            ("SELECT current_user", "select"),
            ("SELECT version()", "select"),
            ("select @@version", "select"),
            ("SELECT 'x'", "select"),
            ("SELECT \"Name\" FROM \"Users\"", "select"),
            ("SELECT TOP 10 * FROM users", "select"),
            ("SELECT CASE WHEN a THEN b ELSE c END FROM t", "select"),
            ("(select 1) union (select 2)", "select"),
            ("TABLE users", "select"),
            ("INSERT INTO t VALUES (1)", "insert"),
            ("insert into t (a, b) values (1, 2) on conflict (a) do update set b = 2", "insert update"),
            ("INSERT INTO t SELECT * FROM s", "insert select"),
            ("INSERT OR REPLACE INTO t VALUES (1)", "insert"),
            ("insert ignore t values (1)", "insert"),
            ("REPLACE INTO t VALUES (1)", "replace"),
            ("UPDATE t SET a = 1 WHERE id = 5", "update"),
            ("update only s.t as x set a.b = 1, c = 2 where x.id in (1, 2)", "update"),
            ("DELETE FROM t WHERE id = 5", "delete"),
            ("DELETE t FROM t JOIN u ON u.id = t.id WHERE u.x = 1", "delete"),
            ("delete users where id = 5", "delete"),
            ("DROP TABLE users", "drop"),
            ("drop table if exists a.users cascade", "drop"),
            ("DROP MATERIALIZED VIEW v", "drop"),
            ("DROP DATABASE prod", "drop"),
            ("drop user 'bob'@'%'", "drop"),
            ("TRUNCATE TABLE users", "truncate"),
            ("truncate users, orders restart identity", "truncate"),
            ("ALTER TABLE t ADD COLUMN x int", "alter"),
            ("ALTER TABLE t DROP COLUMN x", "alter"),
            ("ALTER USER bob WITH SUPERUSER", "alter"),
            ("ALTER SYSTEM SET x = 1", "alter"),
            ("CREATE TABLE t (a int)", "create"),
            ("CREATE TABLE t AS SELECT * FROM s", "create select"),
            ("create or replace function f() returns int as $$ select 1 $$ language sql", "create select"),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "create"),
            ("CREATE INDEX ON t (a)", "create"),
            ("CREATE USER bob IDENTIFIED BY 'x'", "create"),
            ("CREATE USER bob FOR LOGIN bob", "create"),
            ("CREATE DEFINER=`root`@`%` VIEW v AS SELECT 1", "select create"),
            ("CREATE EXTENSION IF NOT EXISTS dblink", "create"),
            ("GRANT ALL ON t TO bob", "grant"),
            ("GRANT SELECT, INSERT, DELETE ON t TO bob", "grant"),
            ("REVOKE DELETE ON t FROM bob", "revoke"),
            ("EXEC sp_who", "exec"),
            ("EXECUTE dbo.p @x = 1", "exec"),
            ("CALL p(1)", "call"),
            ("COPY t FROM '/tmp/x'", "copy"),
            ("COPY t (a, b) TO STDOUT", "copy"),
            ("COPY (SELECT * FROM t) TO '/tmp/x'", "copy select"),
            ("COPY t FROM PROGRAM 'id'", "copy copy-program"),
            ("COPY INTO t FROM @stage", "copy"),
            ("\\copy t to '/tmp/x'", "copy"),
            ("\\! id", "shell"),
            (".shell id", "shell"),
            ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE", "merge delete"),
            ("MERGE t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1", "merge update"),
            ("ATTACH DATABASE '/tmp/x' AS y", "attach"),
            ("ATTACH 'x' AS y", "attach"),
            ("DETACH DATABASE y", "detach"),
            ("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t", "load"),
            ("LOAD 'evil.so'", "load"),
            ("SELECT load_extension('x')", "select load"),
            ("SELECT * INTO t2 FROM t", "select select-into"),
            ("SELECT a INTO OUTFILE '/tmp/x' FROM t", "select outfile"),
            ("SHOW TABLES", "show"),
            ("SET ROLE admin", "set"),
            ("SET GLOBAL general_log = 1", "set"),
            ("VACUUM INTO '/tmp/x'", "vacuum"),
            ("PRAGMA writable_schema = 1", "pragma"),
            ("BULK INSERT t FROM 'x'", "insert"),
            ("SHUTDOWN WITH NOWAIT", "shutdown"),
            ("KILL 53", "kill"),
            ("SELECT name FROM t USE INDEX (i)", "select"),
            ("SELECT id, a, no, this FROM t AS x WITH (NOLOCK)", ""),
            ("SELECT id, a, no FROM t AS x WITH (NOLOCK)", "select"),
            ("SELECT ts AT TIME ZONE 'utc' x FROM t FOR UPDATE", "select"),
            ("SELECT b FROM a", "select"),
            ("DELETE FROM a", "delete delete-all"),
            ("DELETE a.* FROM t1 a JOIN t2 b ON a.x = b.x", "delete delete-all"),
            ("DELETE TOP 5 FROM t", "delete delete-all"),
            ("DELETE users WITH (TABLOCK)", "delete delete-all"),
            ("UPDATE (SELECT a FROM t) SET a = 1", "update select update-all"),
            ("DROP DATABASE x WITH (FORCE)", "drop"),
            ("DROP TABLE t NO DELAY", "drop"),
            ("DROP TABLE user", "drop"),
            ("DROP SYMMETRIC KEY k", "drop"),
            ("DROP FOREIGN DATA WRAPPER w", "drop"),
            ("TRUNCATE TABLE t DROP STORAGE", "truncate"),
            ("exec xp_cmdshell whoami", "exec"),
            ("EXECUTE AS USER = 'dbo'", "exec"),
            ("{call p(1)}", "call"),
            ("ATTACH evil AS x", "attach"),
            ("\u{feff}DROP TABLE x", "drop"),
            ("BACKUP DATABASE x TO DISK = 'y'", "backup"),
        ]);
    }

    #[test]
    fn statements_hide_among_others() {
        check(&[
            ("SELECT 1; DROP TABLE users", "select drop"),
            ("select 1;;\n;drop table users;--", "select drop"),
            ("SELECT 1 DROP TABLE users", "select drop"),
            ("select * from a delete from b", "select delete delete-all"),
            ("IF 1=1 DROP TABLE x", "drop"),
            ("USE master DROP TABLE x", "drop"),
            ("PRINT 'x' DROP TABLE x", "drop"),
            ("COMMIT DROP TABLE x", "drop"),
            ("SET NOCOUNT ON DELETE users", "delete delete-all"),
            ("1 UNION ALL SELECT password FROM users", "select"),
            ("'; DROP TABLE users; --", "drop"),
            ("GRANT SELECT ON a TO b DROP TABLE x", "grant drop"),
            ("REVOKE DELETE FROM bob", "revoke"),
            ("IF EXISTS (SELECT 1 FROM a) DROP TABLE a", "select drop"),
            ("BEGIN TRY DELETE FROM t END TRY", "delete delete-all"),
            ("DECLARE @x int DELETE FROM t WHERE id = @x", "delete"),
            ("BEGIN; UPDATE t SET a = 1; COMMIT", "update update-all"),
            ("WITH x AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT * FROM x)", "select delete"),
            ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "delete delete-all select"),
            ("WITH the AS (SELECT * FROM users) DELETE FROM the", "select delete delete-all"),
            ("WITH RECURSIVE x(n) AS (VALUES (1)) INSERT INTO t SELECT n FROM x", "insert select"),
            ("EXPLAIN ANALYZE DELETE FROM t", "explain delete delete-all"),
            ("EXPLAIN (ANALYZE, BUFFERS) DELETE FROM t WHERE a = 1", "explain delete"),
            ("EXPLAIN DELETE FROM t", "explain"),
            ("EXPLAIN QUERY PLAN SELECT * FROM t", "explain"),
            ("DrOp\tTaBlE\n\nusers", "drop"),
            ("DROP/**/TABLE/**/users", "drop"),
            ("DROP\u{a0}TABLE users", "drop"),
            ("SELECT 1 /*!50000; DROP TABLE users */", "select drop"),
            ("/*!50000DROP*/ /*!TABLE*/ users", "drop"),
            ("SELECT 1 -- ; DROP TABLE users", "select"),
            ("SELECT 1 /* ; DROP TABLE users */", "select"),
            ("SELECT 1 /* /* */ ; DROP TABLE users -- */", "select drop"),
            ("SELECT '; DROP TABLE users'", "select"),
            ("SELECT 'it''s; DROP TABLE users'", "select"),
            ("SELECT '\\'; DROP TABLE users; --'", "select drop"),
            ("SELECT '\\''; DROP TABLE users; --'", "select drop"),
            ("SELECT 1 --1; DROP TABLE users", "select drop"),
            ("SELECT 1 # ; DROP TABLE users", "select drop"),
            ("SELECT $$; DROP TABLE users$$", "select drop"),
            ("SELECT [a;DROP TABLE users]", "drop select"),
            ("DO $$ BEGIN DELETE FROM t; END $$", "do delete delete-all"),
            ("EXEC('DROP TABLE users')", "exec drop"),
            ("EXEC('DR' + 'OP TABLE users')", "exec drop"),
            ("EXEC('EXEC(''DR''+''OP TABLE x'')')", "exec drop"),
            ("EXEC sp_executesql N'DELETE FROM t'", "exec delete delete-all"),
            ("EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE ''DROP TABLE x'''", "exec drop"),
            ("PREPARE s FROM 'DELETE FROM t'", "delete delete-all"),
            ("CREATE PROCEDURE p AS BEGIN DELETE FROM t END", "create delete delete-all"),
            ("EXEC xp_cmdshell 'whoami'", "exec"),
            ("psql -c \"DROP TABLE users\"", "drop"),
            ("cursor.execute('delete from users')", "delete delete-all"),
            ("Run this:\n```sql\nDELETE FROM users;\n```", "delete delete-all"),
            ("Please run: DROP TABLE users;", "drop"),
        ]);
    }

    #[test]
    fn conditions_limit_rows() {
        check(&[
            ("DELETE FROM t", "delete delete-all"),
            ("delete from t;", "delete delete-all"),
            ("UPDATE t SET a = 1", "update update-all"),
            ("DELETE FROM t LIMIT 5", "delete delete-all"),
            ("DELETE FROM t WHERE 1=1", "delete delete-all"),
            ("DELETE FROM t WHERE 1", "delete delete-all"),
            ("DELETE FROM t WHERE true", "delete delete-all"),
            ("DELETE FROM t WHERE (1 = 1)", "delete delete-all"),
            ("DELETE FROM t WHERE 'a'='a'", "delete delete-all"),
            ("DELETE FROM t WHERE id = id", "delete delete-all"),
            ("DELETE FROM t WHERE 1 < 2", "delete delete-all"),
            ("DELETE FROM t WHERE 1 <> 2", "delete delete-all"),
            ("DELETE FROM t WHERE id = 5 OR 1=1", "delete delete-all"),
            ("DELETE FROM t WHERE id = 5 OR true", "delete delete-all"),
            ("DELETE FROM t WHERE 1=1 AND id = 5", "delete"),
            ("DELETE FROM t WHERE 1=0", "delete"),
            ("DELETE FROM t WHERE id = 1", "delete"),
            ("DELETE FROM t USING (SELECT a FROM b WHERE c = 1) x", "delete select delete-all"),
            ("UPDATE t SET a = (SELECT b FROM c WHERE d = 1)", "update select update-all"),
            ("UPDATE t SET a = (SELECT b FROM c) WHERE d = 1", "update select"),
            ("DELETE FROM t WHERE CURRENT OF c", "delete"),
            ("delete users", "delete delete-all"),
        ]);
    }

    #[test]
    fn sentences_are_no_sql() {
        check(&[
            ("", ""),
            ("please select a delivery date", ""),
            ("Select a delivery date", ""),
            ("Select a date from the calendar", ""),
            ("Select the best one from the list.", ""),
            ("select one of the options, then press OK", ""),
            ("Select everything from your cart", ""),
            ("Delete the file", ""),
            ("delete it", ""),
            ("Please delete from the list whatever you want", ""),
            ("Delete from the basket anything you don't want", ""),
            ("delete everything", ""),
            ("Delete rows where possible", ""),
            ("Update the set of rules", ""),
            ("Update me on the settings", ""),
            ("Insert into the form your values", ""),
            ("Insert a coin", ""),
            ("Drop the table", ""),
            ("Drop table reservations for tonight", ""),
            ("You should never drop table users", ""),
            ("Create a table of contents", ""),
            ("Create user stories for the sprint", ""),
            ("create table of contents", ""),
            ("create index cards", ""),
            ("Alter the plan", ""),
            ("Truncate the text", ""),
            ("Truncate long lines", ""),
            ("Grant access to the team", ""),
            ("Grant him access to files", ""),
            ("Revoke access from the team", ""),
            ("Execute the plan", ""),
            ("Call me later", ""),
            ("Call Bob at noon", ""),
            ("Copy file to folder", ""),
            ("Merge the branches using git", ""),
            ("Attach the report", ""),
            ("Load the data", ""),
            ("Show me the tables", ""),
            ("Show users how it works", ""),
            ("Explain the select statement", ""),
            ("Explain delete from the list", ""),
            ("Set session expectations", ""),
            ("With love, as (always) yours", ""),
            ("Replace the battery", ""),
            ("Lock the door", ""),
            ("Kill the process", ""),
            ("Do it", ""),
            ("hello world", ""),
            ("{\"select\": true}", ""),
            ("https://a.example/?q=select+x", ""),
        ]);
    }

    #[test]
    fn nesting_ends() {
        let mut text = "DROP TABLE x".to_owned();
        for _ in 0..10 {
            text = format!("EXEC('{}')", text.replace('\'', "''"));
        }
        assert_eq!(sql_verbs(&text).first(), Some(&"exec"));
    }
}
