//! The ends of names: what a dotted word is, a host or a file, and where the part of a host name begins that
//! somebody registered. Short lists of what is met, no full ones.

/// Ends of file names that are no top-level domains: such a word is never a host by itself.
#[rustfmt::skip]
const FILES: [&str; 121] = [
    "7z", "avi", "bak", "bash", "bat", "bin", "bmp", "bz2", "c", "cer", "cfg", "cjs", "class", "cmd", "conf", "cpp",
    "crt", "cs", "css", "csv", "db", "deb", "der", "dll", "dmg", "doc", "docx", "env", "epub", "err", "exe", "gif",
    "go", "gz", "h", "hpp", "htm", "html", "ico", "img", "ini", "ipynb", "iso", "jar", "java", "jpeg", "jpg", "js",
    "json", "jsonl", "jsx", "key", "kt", "less", "lock", "log", "lua", "mjs", "mkv", "mp3", "mp4", "msi", "odt", "ogg",
    "old", "orig", "out", "p12", "parquet", "patch", "pcap", "pdf", "pem", "php", "pid", "png", "ppt", "pptx",
    "proto", "ps1", "pub", "pyc", "rar", "rb", "rej", "rpm", "rst", "rtf", "scss", "service", "sha256", "sock", "sql",
    "sqlite", "svg", "swift", "swp", "tar", "tbz", "tgz", "tmp", "toml", "ts", "tsv", "tsx", "ttf", "txt", "txz",
    "war", "wasm", "wav", "webm", "webp", "woff", "woff2", "xls", "xlsx", "xml", "xz", "yaml", "yml",
];

/// Top-level domains that ends of file names and names in code look like.
#[rustfmt::skip]
const BOTH: [&str; 30] = [
    "ac", "ai", "am", "app", "as", "cat", "cc", "do", "id", "in", "is", "la", "map", "md", "me", "mk", "ml", "mov",
    "name", "pl", "pm", "ps", "py", "rs", "sh", "so", "tf", "to", "zip", "zone",
];

/// Top-level domains that are met most, and names that stand for none outside of a network or a test.
#[rustfmt::skip]
const KNOWN: [&str; 67] = [
    "agency", "arpa", "art", "bank", "best", "bet", "biz", "blog", "cam", "cfd", "click", "cloud", "club", "com", "corp",
    "cyou", "dev", "digital", "edu", "email", "example", "fun", "fyi", "gov", "group", "home", "host", "icu", "info",
    "int", "internal", "invalid", "lan", "life", "link", "live", "local", "localhost", "lol", "ltd", "mil", "mobi",
    "monster", "net", "network", "news", "ninja", "one", "onion", "online", "org", "page", "pro", "quest", "shop",
    "site", "space", "store", "tech", "test", "today", "top", "website", "wiki", "work", "world", "xyz",
];

/// Second labels under which a country's names are registered.
const SECOND: [&str; 24] = [
    "ac", "co", "com", "ed", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "gv", "info", "ltd", "me",
    "mil", "ne", "net", "nom", "or", "org", "plc", "sch",
];

/// Domains whose names belong to customers, so that each of them is somebody else.
#[rustfmt::skip]
const SHARED: [&str; 43] = [
    "amplifyapp.com", "appspot.com", "azureedge.net", "azurewebsites.net", "blogspot.com", "burpcollaborator.net",
    "cloudapp.net", "cloudfront.net", "cloudfunctions.net", "duckdns.org", "elasticbeanstalk.com", "fastly.net",
    "firebaseapp.com", "fly.dev", "github.io", "gitlab.io", "glitch.me", "herokuapp.com", "interact.sh", "lhr.life",
    "loca.lt", "localhost.run", "myshopify.com", "netlify.app", "ngrok-free.app", "ngrok-free.dev", "ngrok.app",
    "ngrok.dev", "ngrok.io", "nip.io", "oast.fun", "oastify.com", "onrender.com", "pages.dev", "pipedream.net",
    "r2.dev", "repl.co", "serveo.net", "sslip.io", "trycloudflare.com", "vercel.app", "web.app", "workers.dev",
];

/// How likely it is that a dotted word is a host name, by its last label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The name of a file, or of nothing.
    File,
    /// It may be a host, a file or a name in code.
    Either,
    /// A country's domain: often a host, and sometimes a name in code.
    Country,
    /// A domain that is met a lot.
    Known,
}

/// What the last label of a dotted word says.
pub(super) fn ending(label: &str) -> Ending {
    let listed = |list: &[&str]| list.binary_search(&label).is_ok();
    if listed(&FILES) || label.len() < 2 || (label.is_ascii() && !is_top_label(label)) {
        Ending::File
    } else if listed(&KNOWN) {
        Ending::Known
    } else if listed(&BOTH) || !label.is_ascii() {
        Ending::Either
    } else if label.len() == 2 || label.starts_with("xn--") {
        Ending::Country
    } else {
        Ending::Either
    }
}

fn is_top_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphabetic()) || label.starts_with("xn--")
}

/// The part of a host name that somebody registered: two labels, or three where the last two are no
/// registrant's.
#[must_use]
pub fn registrable(name: &str) -> &str {
    let last = |count: usize| {
        let start = name.rmatch_indices('.').nth(count - 1).map_or(0, |(dot, _)| dot + 1);
        name.get(start..).unwrap_or(name)
    };
    let two = last(2);
    let (second, top) = two.split_once('.').unwrap_or(("", two));
    let country = top.len() == 2 && SECOND.binary_search(&second).is_ok();
    if country || SHARED.binary_search(&two).is_ok() { last(3) } else { two }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        for list in [&FILES[..], &BOTH, &KNOWN, &SECOND, &SHARED] {
            assert!(list.is_sorted_by(|a, b| a < b), "{list:?}");
        }
    }

    #[test]
    fn registrants_are_told_apart() {
        let rows = [
            ("a.b.acme.example", "acme.example"),
            ("acme.example", "acme.example"),
            ("localhost", "localhost"),
            ("shop.acme.co.uk", "acme.co.uk"),
            ("acme.co.uk", "acme.co.uk"),
            ("co.uk", "co.uk"),
            ("a.b.com.au", "b.com.au"),
            ("x.evil.github.io", "evil.github.io"),
            ("t.co", "t.co"),
            ("www.go.com", "go.com"),
            ("", ""),
        ];
        for (name, want) in rows {
            assert_eq!(registrable(name), want, "{name}");
        }
    }
}
