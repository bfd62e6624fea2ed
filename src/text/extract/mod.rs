//! What the arguments of a tool call would make a machine do: hosts that it would connect to, people it
//! would write to, files it would open, statements and commands it would run.
//!
//! Rules compare these with lists, and attackers write the texts. Each noun is therefore read as the
//! programs that use it read it, and where two programs read a text differently, both readings are given: a rule
//! asks whether any of them is out of bounds. Work and memory are linear in the text, and nothing is left out
//! because there is much of it: a list that was full would hide what comes after. Texts that are encoded as a
//! whole (base64, ciphers) are for [`Layers`](super::Layers); escapes, percent signs and other widths, which
//! the programs themselves undo, are undone here.

mod address;
mod host_words;
mod hostname;
mod hosts;
mod paths;
mod punycode;
mod reading;
mod recipients;
mod shell;
mod shell_expand;
mod shell_pairs;
mod shell_signs;
mod shell_words;
mod sql;
mod sql_after;
mod sql_shapes;
mod sql_tokens;
mod sql_words;
mod suffixes;
mod urls;

pub use hosts::{Host, host_name, hosts};
pub use paths::{is_above_root, path, paths};
pub use recipients::{Recipient, recipients};
pub use shell::shell_commands;
pub use sql::sql_verbs;
pub use suffixes::registrable;

/// Fails with every text that is not read as its row says.
#[cfg(test)]
fn check_rows(rows: &[(&str, &str)], shown: impl Fn(&str) -> String) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|(text, want)| (text, want, shown(text)))
        .filter(|(_, want, got)| got != *want)
        .map(|(text, want, got)| format!("{text:?}: expected {want:?}, got {got:?}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a text in every way: nothing panics, and what is found stands in the text.
    fn read(text: &str) {
        for host in hosts(text) {
            assert!(text.get(host.range.clone()).is_some(), "{text:?} {host:?}");
            assert!(!host.name.is_empty() && host.registrable().len() <= host.name.len(), "{text:?} {host:?}");
            let _ = host.is_private();
        }
        for recipient in recipients(text) {
            assert!(text.get(recipient.range.clone()).is_some(), "{text:?} {recipient:?}");
            assert!(!recipient.domain().is_empty() && recipient.address.contains('@'), "{text:?} {recipient:?}");
        }
        let readings = paths(text);
        assert_eq!(path(text).as_ref(), readings.first(), "{text:?}");
        assert!(readings.iter().all(|reading| !reading.is_empty()), "{text:?} {readings:?}");
        let _ = (is_above_root(text), host_name(text), sql_verbs(text));
        assert!(shell_commands(text).iter().all(|name| !name.is_empty()), "{text:?}");
    }

    /// Pieces that mean something to one of the readers.
    const PIECES: [&str; 80] = [
        "http",
        "://",
        ":",
        "//",
        "\\",
        "/",
        "@",
        "#",
        "?",
        ".",
        "..",
        "evil.example",
        "[",
        "]",
        "::1",
        "127.1",
        "0x7f",
        "%2e",
        "%25",
        "%u002e",
        "%",
        "&#64;",
        "\\u0040",
        "\u{ff0e}",
        "\u{2100}",
        "xn--bcher-kva",
        "\u{430}",
        "\u{200d}",
        " ",
        "\n",
        "\t",
        "\0",
        "curl ",
        "ssh ",
        "git@",
        "mailto:",
        "\"",
        "'",
        "`",
        "$(",
        "${",
        "$'",
        "$x",
        ")",
        "}",
        "{",
        "((",
        "((",
        "|",
        "&&",
        ";",
        "<<E\n",
        "<",
        ">",
        "case x in ",
        "esac",
        "[[ ",
        "]]",
        "sh -c ",
        "find -exec ",
        "sudo ",
        "rm -rf ",
        "a=b",
        ",",
        "SELECT ",
        "DELETE FROM t ",
        "WHERE ",
        "/*",
        "*/",
        "/*!5",
        "--",
        "$$",
        "EXEC",
        "WITH x AS (",
        "file:",
        "C:\\",
        "~",
        "/proc/self/root/",
        "/dev/fd/3/",
        "..;",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 2_000 } else { 20_000 }))]

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            read(&text);
        }

        #[test]
        fn any_pieces_are_read(pieces in proptest::collection::vec(0..PIECES.len(), 0..24)) {
            read(&pieces.iter().map(|piece| PIECES[*piece]).collect::<String>());
        }

        #[test]
        fn any_name_of_a_host_has_one_form(name in "[a-zA-Z0-9.%\u{ff0e}\u{fc}\u{df}-]{1,24}") {
            let once = host_name(&name);
            prop_assert_eq!(host_name(&once), once.clone());
        }
    }
}
