//! Whether a secret looks like a placeholder, a name, a reference or words, and so is none.
//!
//! What documentation, templates and code write where a secret would stand is told from secrets by its
//! form: known markers, the syntax of templates and references, few or ordered characters, and words.
//! Words are known by a list, or by the pairs of letters that words are made of: a random string hits
//! the common pairs in about a third of its places, English in nine tenths. All of it is linear in the
//! length of the secret; only ASCII letters count as letters.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::entropy::entropy;

/// Where one of these stands anywhere in a text, in lower case, it is no secret.
const MARKERS: &str = "
xxxx **** .... ____ ---- #### … example sample placeholder changeme change_me change-me changeit yourpass
yourtoken yoursecret yourapi yourkey your_ your- your. _here -here tokenhere keyhere secrethere dummy redacted masked
replace insert foobar lorem notreal not_real not-real %s notasecret not_a_ not-a- undefined removed hidden censored
omitted process.env os.environ getenv env. secrets. self. this. config. settings. params. ::";

/// Names of secrets, which are in no secret that has nothing but letters.
const NAMES: [&str; 6] = ["password", "passwd", "passwort", "secret", "token", "credential"];

/// How paths and references begin.
const REFERENCES: &str = "/ ./ ../ ~/ http: https: file: env: vault: ssm: arn: enc( encrypted: ref:";

/// How absolute paths begin that are none of a base64 text.
const ROOTS: [&str; 7] = ["/etc", "/var", "/usr", "/opt", "/home", "/run", "/tmp"];

/// How files and hosts end.
const EXTENSIONS: &str = ".pem .json .yml .yaml .txt .key .crt .cer .xml .html .js .ts .py .rb .go .php .java .png .svg
.md .pub .env .cfg .conf .ini .properties .com .org .net .io";

/// Words that stand where a secret would.
const WORDS: &str = "
a an the my our your is not no yes on off of or and to in for it this that with from by none null nil void true false
pass passwd password passwort pwd passphrase passcode secret secrets secure token tokens key keys api apikey auth
access client server user username users name admin administrator root guest login test tests testing tester demo
dev devel develop development prod production stage staging local localhost default value values string text data foo
bar baz qux quux abc abcd abcde abcdef abcdefg xyz qwerty asdf zxcv asdfgh hello world welcome letmein temp tmp todo
fixme tbd unknown empty blank required optional enter type here there some any put set get my new old first last public
private app application service account project company email mail com org net io db database mysql postgres postgresql
mongo mongodb redis rabbitmq sql oracle aws azure gcp google github gitlab slack stripe openai docker kube kubernetes
host port url uri http https basic bearer digest oauth jwt session cookie header id ids ref path file folder example
examples sample fake mock stub super very strong valid invalid wrong correct right bad good real random generated long
short simple encrypted hash hashed salt sha md aes rsa hex base bot web hook webhook live sandbox master slave main
node java python ruby rust go js ts json yaml yml xml env config settings one two three four five six seven eight nine
ten x xx xxx";

/// The commonest pairs of letters in English and in technical names.
const PAIRS: &str = "
th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le sa si ar ve ra ld ur
ro ri io ic ll ne me ma co ce ch ca li el om la em ec ta ns ss us ut un tr tu pe po pr pa pl ol ow op os oo no na ni
ot ad ac ag ai am ap ab av ay ba be bl bo br bu by ck cl cr ct cu da di do du dr ef ee ei ev ex ey fa fe ff fi fl fo
fr ft fu ga ge gh gi gl go gr gu ho hr ht hu id ie if ig il im ip ir iv ke ki ks ky lo ls lt lu ly mb mi mm mo mp mu
my nc nf ns nu od og oi ok ov pi pp ps pt pu qu rc rd rg rk rl rm rn rr rs rt ru ry sc sh sk sl sm so sp su sw sy
tc tl tm ts tt tw ty ub uc ud ue ug ui ul um up va vi vo wa we wh wi wo ws ye yp ys ze";

/// From this length on a text of five different characters is none, and not only one of three.
const MONOTONOUS_CHARS_MIN: usize = 16;
/// Fewest characters of a run of ordered ones that counts.
const ORDERED_CHARS_MIN: usize = 4;
/// Shortest word that is known by its pairs.
const WORD_CHARS_MIN: usize = 3;
/// Above this a text that begins with a slash is rather base64 than a path, in bits per character.
const BASE64_ENTROPY: f64 = 4.2;
/// From this on a text is no words, whatever its pairs: words repeat letters. In bits per character.
const WORDS_ENTROPY: f64 = 4.4;

static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

/// What is looked up, made once.
struct Tables {
    words: BTreeSet<&'static str>,
    pairs: BTreeSet<[u8; 2]>,
    /// `${NAME}`, `{{ … }}`, `{NAME}`, `<…>`, `$(…)`, `#{…}`, `%{…}`, `%(name)s`, `@{…}`.
    template: Regex,
    /// Nothing but letters and separators.
    name: Regex,
    /// `$NAME`, `%NAME%`.
    variable: Regex,
    /// `a.b(…`
    call: Regex,
    /// `A_CONSTANT`, but not `A_9X9`, which may be a key.
    constant: Regex,
    digits_around_letters: Regex,
    /// `a.dotted.Name`
    dotted: Regex,
}

impl Tables {
    fn new() -> Self {
        let regex = |text: &str| Regex::new(text).expect("a regex of this file, which a test compiles");
        let template = r"\$\{[0-9A-Za-z_.:-]+\}|\{\{.*\}\}|^\{[A-Za-z_. -]*\}$|<[^<>]*>|\$\([^)]*\)|[#%@]\{[^}]*\}|%\([a-z_]+\)|\$\{\{|^<|^\$\{|^\{\{";
        Self {
            words: WORDS.split_ascii_whitespace().collect(),
            pairs: PAIRS.split_ascii_whitespace().filter_map(|pair| pair.as_bytes().try_into().ok()).collect(),
            template: regex(template),
            name: regex(r"^[A-Za-z_.-]+$"),
            variable: regex(r"^[$%@&][A-Za-z_][A-Za-z0-9_]*%?$"),
            call: regex(r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\(.*$"),
            constant: regex(r"^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$"),
            digits_around_letters: regex(r"[0-9][A-Z]+[0-9]"),
            dotted: regex(r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$"),
        }
    }
}

/// Whether a secret looks like a placeholder, a name, a reference or words, and so is none.
pub(super) fn is_words(secret: &str) -> bool {
    // What separates records in ASCII counts as white space, too.
    let text = secret.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c));
    let lower = text.to_lowercase();
    text.is_empty()
        || is_marked(text, &lower)
        || is_reference(text, &lower)
        || is_monotonous(text, &lower)
        || is_made_of_words(text, &lower)
}

fn is_marked(text: &str, lower: &str) -> bool {
    let tables = &*TABLES;
    MARKERS.split_ascii_whitespace().any(|marker| lower.contains(marker))
        || tables.template.is_match(text)
        || (NAMES.iter().any(|name| lower.contains(name)) && tables.name.is_match(text))
}

/// References, paths, files, calls and constants.
fn is_reference(text: &str, lower: &str) -> bool {
    let tables = &*TABLES;
    let begins = REFERENCES.split_ascii_whitespace().any(|start| lower.starts_with(start));
    let is_constant = || tables.constant.is_match(text) && !tables.digits_around_letters.is_match(text);
    tables.variable.is_match(text)
        || (begins && !may_be_base64(text, lower))
        || EXTENSIONS.split_ascii_whitespace().any(|end| lower.ends_with(end))
        || tables.call.is_match(text)
        || is_constant()
}

/// Base64 may begin with a slash: a path has more than one of them, or nothing but words.
fn may_be_base64(text: &str, lower: &str) -> bool {
    text.starts_with('/')
        && text.matches('/').count() < 4
        && !ROOTS.iter().any(|root| lower.starts_with(root))
        && entropy(text) >= BASE64_ENTROPY
}

/// Few or ordered characters.
fn is_monotonous(text: &str, lower: &str) -> bool {
    let distinct = lower.chars().collect::<BTreeSet<char>>().len();
    let count = text.chars().count();
    distinct <= 3 || (count >= MONOTONOUS_CHARS_MIN && distinct <= 5) || ordered_chars(lower) * 10 >= count * 6
}

/// How many characters belong to runs that go up by one, go down by one or stay the same; after 9 may
/// come 0, and after 0 may come 9. The text is in lower case.
fn ordered_chars(lower: &str) -> usize {
    let chars: Vec<char> = lower.chars().collect();
    let (mut total, mut start, mut step) = (0, 0, None);
    for (i, char) in chars.iter().enumerate() {
        let next = chars.get(i + 1).and_then(|next| step_between(*char, *next));
        if next.is_some() && (step.is_none() || next == step) {
            step = next;
            continue;
        }
        let length = i + 1 - start;
        total += if length >= ORDERED_CHARS_MIN { length } else { 0 };
        start = if next.is_some() { i } else { i + 1 };
        step = next;
    }
    total
}

/// By how much one character is more than the one before it; `None` where they are no neighbours.
fn step_between(from: char, to: char) -> Option<i32> {
    let distance = i32::try_from(u32::from(to)).ok()? - i32::try_from(u32::from(from)).ok()?;
    let step = match (from, to) {
        _ if from.is_numeric() && to.is_numeric() => match distance {
            -9 => 1,
            9 => -1,
            other => other,
        },
        _ if from.is_ascii_alphabetic() && to.is_ascii_alphabetic() => distance,
        _ if from == to => 0,
        _ => return None,
    };
    (-1..=1).contains(&step).then_some(step)
}

fn is_made_of_words(text: &str, lower: &str) -> bool {
    let words = &TABLES.words;
    let runs = letter_runs(text);
    let whole: String = lower.chars().filter(char::is_ascii_alphabetic).collect();
    if (!runs.is_empty() && runs.iter().all(|run| words.contains(run.as_str()))) || words.contains(whole.as_str()) {
        return true;
    }
    let solid = text.chars().filter(|char| !"_-./ ".contains(*char)).count();
    // A name with parts, half of which are words, and a dotted name, a third of which is.
    let parts: Vec<&str> = lower.split(['_', '.', '-']).collect();
    let in_words = |pieces: &mut dyn Iterator<Item = &str>| -> usize {
        pieces.filter(|piece| is_wordy(piece)).map(str::len).sum()
    };
    if parts.len() >= 2 && in_words(&mut parts.iter().copied()) * 2 >= solid {
        return true;
    }
    if TABLES.dotted.is_match(text) && in_words(&mut runs.iter().map(String::as_str)) * 3 >= solid {
        return true;
    }
    has_pairs_of_words(text, &runs, solid)
}

/// Whether a text is mostly letters, and those in pairs that words are made of.
fn has_pairs_of_words(text: &str, runs: &[String], solid: usize) -> bool {
    let long = || runs.iter().filter(|run| run.len() >= WORD_CHARS_MIN);
    let covered: usize = long().map(String::len).sum();
    let (common, all) = long().map(|run| pairs_of(run)).fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    all > 0 && solid > 0 && covered * 4 >= solid * 3 && common * 100 >= all * 70 && entropy(text) < WORDS_ENTROPY
}

fn is_wordy(piece: &str) -> bool {
    if piece.len() < WORD_CHARS_MIN || !piece.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    let (common, all) = pairs_of(piece);
    TABLES.words.contains(piece) || common * 100 >= all * 70
}

/// How many pairs of letters are common ones, and how many there are.
fn pairs_of(run: &str) -> (usize, usize) {
    let pairs = run.as_bytes().array_windows::<2>();
    let all = pairs.len();
    (pairs.filter(|pair| TABLES.pairs.contains(*pair)).count(), all)
}

/// The runs of ASCII letters in lower case, cut where a capital follows a small letter, and before the
/// last capital of an acronym: `APIKey` is `api` and `key`.
fn letter_runs(text: &str) -> Vec<String> {
    let mut runs = Vec::new();
    let mut run = String::new();
    let mut before: Option<char> = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let is_letter = char.is_ascii_alphabetic();
        let small_after = chars.peek().is_some_and(char::is_ascii_lowercase);
        let cuts = before.is_some_and(|before| {
            char.is_ascii_uppercase() && (before.is_ascii_lowercase() || (before.is_ascii_uppercase() && small_after))
        });
        if (!is_letter || cuts) && !run.is_empty() {
            runs.push(std::mem::take(&mut run));
        }
        if is_letter {
            run.push(char.to_ascii_lowercase());
        }
        before = is_letter.then_some(char);
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_secrets() {
        let words = [
            "",
            "  ",
            "change-me-now",
            "your_key_here",
            "<the token>",
            "${APP_TOKEN}",
            "{{ .Values.token }}",
            "$APP_TOKEN",
            "%APP_TOKEN%",
            "#{AppToken}",
            "%(token)s",
            "{token}",
            "process.env.TOKEN",
            "fetchToken(user, 3)",
            "os.getenv(x",
            "THE_TOKEN_NAME",
            "/etc/app/private",
            "./keys/app",
            "~/keys",
            "https://app.invalid/x",
            "arn:aws:x:y",
            "id_rsa.pem",
            "zzzzzzzzzzzz",
            "ababababababababab",
            "9876543210",
            "abcdefghijkl",
            "aaaa1111bbbb2222",
            "admin",
            "Admin123",
            "secretToken",
            "mySecretPassword",
            "APIKey",
            "app-service-account",
            "net.invalid.SecurityProvider",
            "highEntropyIsNotThis",
            "wonderful-weather-today",
            "passwordForTheDoor",
            "hunter22",
        ];
        for text in words {
            assert!(is_words(text), "{text}");
        }
        let secrets = [
            "v9Kq2Zt7Lw4Xr8Bn",
            "t4Rq!8vLz#2m",
            "4f1d9c27-b3e8-4a05-9c6e-7d21f08a53b9",
            "xqzvkjwpbhtrmfdy",
            "kz7wq2mx9d",
            "/q9Tz4LxW7vKb2Rm8YcJp3HdNf6GsQa1",
            "N7_4QZ8X2_KV9",
            "Winter2031!",
            "Zq8vT2mLx7Rk4Wd9Yb3N",
            "w4terf4llZ",
        ];
        for text in secrets {
            assert!(!is_words(text), "{text}");
        }
    }

    #[test]
    fn ordered_characters_are_counted() {
        let rows = [
            ("", 0),
            ("a", 0),
            ("abc", 0),
            ("abcd", 4),
            ("abcd1", 4),
            ("dcba", 4),
            ("zzzz", 4),
            ("7890123", 7),
            ("3210987", 7),
            ("abcddddd", 9),
            ("aabbccdd", 0),
            ("abcd4321!!!!", 12),
            ("acegikmo", 0),
        ];
        for (text, count) in rows {
            assert_eq!(ordered_chars(text), count, "{text}");
        }
    }

    #[test]
    fn letters_are_cut_where_a_word_begins() {
        let rows: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("APIKey", &["api", "key"]),
            ("notHigh4Enough", &["not", "high", "enough"]),
            ("my_api-key2x", &["my", "api", "key", "x"]),
            ("HTTPServerID", &["http", "server", "id"]),
            ("ABCé", &["abc"]),
        ];
        for (text, runs) in rows {
            assert_eq!(letter_runs(text), runs, "{text}");
        }
    }
}
