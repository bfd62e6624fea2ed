//! Tokens that are forged, too old or not ours, and key files in every state.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::time::{Millis, Span};

const NOW: Millis = Millis(1_764_000_000_999);

/// Keys of RFC 8410, 10: private in version 1, the same with its public half in version 2, and public.
const PRIVATE_V1: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
const PRIVATE_V2: &str = "-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
        path
    }

    fn settings(&self, name: &str) -> Settings {
        Settings { key_file: Some(self.0.path().join(name)), ..Settings::default() }
    }

    fn signer(&self) -> Signer {
        Signer::open(&self.settings("key.pem")).expect("a key")
    }

    fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.0.path()).expect("a folder");
        names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("a file").permissions().mode() & 0o777
}

fn grant() -> Grant {
    Grant {
        tenant: "acme".to_owned(),
        session: "s-1".to_owned(),
        agent: None,
        audience: None,
        tools: vec!["lookup_order".to_owned(), "mcp__billing__*".to_owned()],
        ttl: Span::seconds(300),
    }
}

/// The decoded part of a token.
fn part(token: &str, n: usize) -> Value {
    let part = token.split('.').nth(n).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

fn kid(signer: &Signer) -> Value {
    signer.jwks()["keys"][0]["kid"].clone()
}

fn error(settings: &Settings) -> String {
    Signer::open(settings).expect_err("refused").to_string()
}

#[test]
fn a_token_says_what_was_granted_and_verifies() {
    let folder = Folder::new();
    let signer = folder.signer();
    let minted = signer.mint(&grant(), NOW).expect("minted");
    assert_eq!(part(&minted.token, 0), json!({"alg": "EdDSA", "typ": "JWT", "kid": kid(&signer)}));
    let claims = json!({
        "iss": "haltline", "sub": "s-1", "tenant": "acme", "tools": ["lookup_order", "mcp__billing__*"],
        "iat": 1_764_000_000, "nbf": 1_764_000_000, "exp": 1_764_000_300, "jti": minted.jti,
    });
    assert_eq!(part(&minted.token, 1), claims);
    assert_eq!(minted.expires, Millis(1_764_000_300_000));
    let read = signer.verify(&minted.token, NOW).expect("good");
    assert_eq!(serde_json::to_value(read).expect("JSON"), claims);
    assert!(!format!("{minted:?} {signer:?}").contains(&minted.token));

    let more = Grant { agent: Some("bot".to_owned()), audience: Some("billing-mcp".to_owned()), ..grant() };
    let minted = signer.mint(&more, NOW).expect("minted");
    let read = signer.verify(&minted.token, NOW).expect("good");
    assert_eq!((read.agent.as_deref(), read.aud.as_deref()), (Some("bot"), Some("billing-mcp")));
}

#[test]
fn a_token_is_good_from_its_second_until_the_one_it_ends_with() {
    let folder = Folder::new();
    let signer = folder.signer();
    let token = signer.mint(&grant(), NOW).expect("minted").token;
    let (begin, end) = (Millis(1_764_000_000_000), Millis(1_764_000_300_000));
    let rows = [
        (begin - Span(1), Some(VerifyError::NotYet(begin))),
        (begin, None),
        (NOW, None),
        (end - Span(1), None),
        (end, Some(VerifyError::Expired(end))),
        (Millis(i64::MAX), Some(VerifyError::Expired(end))),
        (Millis(i64::MIN), Some(VerifyError::NotYet(begin))),
    ];
    for (now, expected) in rows {
        assert_eq!(signer.verify(&token, now).err(), expected, "{now}");
    }
}

#[test]
fn no_token_lives_longer_than_it_may() {
    let folder = Folder::new();
    let signer = Signer::open(&Settings { ttl_max: Span(60_500), ..folder.settings("key.pem") }).expect("a key");
    let rows = [(1_000, 1), (1_999, 1), (59_000, 59), (60_500, 60), (61_000, 60), (i64::MAX, 60)];
    for (ttl_ms, seconds) in rows {
        for now in [NOW, Millis(0), Millis(1), Millis(-1)] {
            let minted = signer.mint(&Grant { ttl: Span(ttl_ms), ..grant() }, now).expect("minted");
            let claims = part(&minted.token, 1);
            assert_eq!(claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time"), seconds);
            assert!(minted.expires - now <= Span(ttl_ms) && minted.expires > now, "{ttl_ms} {now}");
        }
    }
}

#[test]
fn grants_out_of_bounds_are_refused() {
    let folder = Folder::new();
    let signer = folder.signer();
    let tools = |tools: &[&str]| Grant { tools: tools.iter().map(ToString::to_string).collect(), ..grant() };
    let (long, longest) = ("x".repeat(257), "x".repeat(256));
    let rows = [
        (tools(&[]), "tools: expected 1 to 64 names or globs, got 0"),
        (tools(&["t"; 65]), "tools: expected 1 to 64 names or globs, got 65"),
        (tools(&["t", ""]), "tools: expected names or globs of 1 to 256 bytes"),
        (tools(&[&long]), "tools: expected names or globs of 1 to 256 bytes"),
        (tools(&["a\nb"]), "without control characters, got \"a\\nb\""),
        (Grant { session: String::new(), ..grant() }, "session: expected 1 to 256 bytes, got 0"),
        (Grant { session: long.clone(), ..grant() }, "session: expected 1 to 256 bytes, got 257"),
        (Grant { tenant: String::new(), ..grant() }, "tenant: expected"),
        (Grant { agent: Some(long.clone()), ..grant() }, "agent: expected"),
        (Grant { audience: Some(String::new()), ..grant() }, "audience: expected"),
        (Grant { ttl: Span(999), ..grant() }, "ttl: expected at least 1s, got 999ms"),
        (Grant { ttl: Span(0), ..grant() }, "ttl: expected at least 1s"),
        (Grant { ttl: Span(i64::MIN), ..grant() }, "ttl: expected at least 1s"),
    ];
    for (grant, expected) in rows {
        let Err(MintError::Grant(error)) = signer.mint(&grant, NOW) else { panic!("{expected}: minted") };
        assert!(error.contains(expected) && error.len() < 200, "{error}");
    }
    // At all bounds at once it is still one that we accept ourselves.
    let control = "\u{1}".repeat(256);
    let largest = Grant {
        tenant: control.clone(),
        session: control.clone(),
        agent: Some(control.clone()),
        audience: Some(control),
        ..tools(&[&*"\"".repeat(256); 64])
    };
    for grant in [largest, tools(&[longest.as_str(); 64])] {
        let minted = signer.mint(&grant, NOW).expect("minted");
        assert_eq!(signer.verify(&minted.token, NOW).map(|claims| claims.tools), Ok(grant.tools));
    }
}

#[test]
fn ids_of_tokens_are_never_the_same() {
    let folder = Folder::new();
    let signer = folder.signer();
    let ids: BTreeSet<String> = (0..100).map(|_| signer.mint(&grant(), NOW).expect("minted").jti).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| id.len() == 34 && id.starts_with("t_")));
}

#[test]
fn forged_tokens_are_refused() {
    let folder = Folder::new();
    let signer = folder.signer();
    let token = signer.mint(&grant(), NOW).expect("minted").token;
    let parts: Vec<&str> = token.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = |name: &str, value: Value| {
        let mut header = part(&token, 0);
        header[name] = value;
        encode(&header)
    };
    let mut claims = part(&token, 1);
    claims["tools"] = json!(["*"]);
    let (claims, other) = (encode(&claims), Signer::open(&folder.settings("other.pem")).expect("a key"));
    let foreign = other.mint(&grant(), NOW).expect("minted").token;
    let foreign_parts: Vec<&str> = foreign.split('.').collect();

    // The confusion of RFC 8725, 2.1: the public key, which all know, as the secret of an HMAC.
    let x = signer.jwks()["keys"][0]["x"].as_str().expect("a key").to_owned();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &URL_SAFE_NO_PAD.decode(x).expect("base64url"));
    let signed = format!("{}.{}", header("alg", json!("HS256")), parts[1]);
    let tag = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signed.as_bytes()));

    let form = |what: &str| Some(what.to_owned());
    let rows = [
        (format!("{}.{}.", header("alg", json!("none")), parts[1]), form("not a run credential: header")),
        (format!("{}.{}.", parts[0], parts[1]), form("signature does not match")),
        (format!("{signed}.{tag}"), form("not a run credential: header")),
        (format!("{}.{}.{tag}", parts[0], parts[1]), form("signature does not match")),
        (format!("{}.{claims}.{}", parts[0], parts[2]), form("signature does not match")),
        (format!("{}.{}.{}", parts[0], parts[1], foreign_parts[2]), form("signature does not match")),
        (format!("{}.{}.{}", header("kid", kid(&other)), parts[1], parts[2]), form("expected a token of a known key")),
        (format!("{}.{}.{}", header("kid", kid(&signer)), foreign_parts[1], foreign_parts[2]), form("signature")),
        (foreign.clone(), form("expected a token of a known key")),
        (token.clone(), None),
    ];
    for (token, expected) in rows {
        let error = signer.verify(&token, NOW).err().map(|error| error.to_string());
        let is_expected = match (&error, &expected) {
            (Some(error), Some(expected)) => error.contains(expected),
            (error, expected) => error == expected,
        };
        assert!(is_expected, "{token}: expected {expected:?}, got {error:?}");
    }
}

#[test]
fn a_token_of_another_issuer_or_with_other_claims_is_refused_though_we_signed_it() {
    let folder = Folder::new();
    let signer = folder.signer();
    let other = Signer::open(&Settings { issuer: "other".to_owned(), ..folder.settings("key.pem") }).expect("a key");
    let token = other.mint(&grant(), NOW).expect("minted").token;
    let issuer = VerifyError::Issuer { expected: "haltline".to_owned(), got: "other".to_owned() };
    assert_eq!(signer.verify(&token, NOW), Err(issuer));

    let (pair, _) = key::open(folder.settings("key.pem").key_file.as_deref().expect("set")).expect("a key");
    let header = serde_json::to_vec(&part(&token, 0)).expect("JSON");
    for claims in ["{}", "[]", "null", r#"{"iss":"haltline","exp":9999999999}"#] {
        let token = jws::sign(&pair, &header, claims.as_bytes());
        let error = signer.verify(&token, NOW).expect_err(claims);
        assert!(error.to_string().starts_with("not a run credential: claims:"), "{error}");
    }
}

#[test]
fn a_missing_key_is_made_once_and_for_nobody_else() {
    let folder = Folder::new();
    let settings = folder.settings("key.pem");
    let first = Signer::open(&settings).expect("a key");
    assert_eq!((mode(settings.key_file.as_deref().expect("set")), folder.names()), (0o600, vec!["key.pem".to_owned()]));
    let text = std::fs::read_to_string(settings.key_file.as_deref().expect("set")).expect("a file");
    assert_eq!(text.lines().count(), 3);
    assert_eq!(kid(&Signer::open(&settings).expect("a key")), kid(&first));
    assert_eq!(std::fs::read_to_string(settings.key_file.as_deref().expect("set")).expect("a file"), text);
    assert_ne!(kid(&Signer::open(&folder.settings("other.pem")).expect("a key")), kid(&first));
}

#[test]
fn processes_that_start_at_once_use_one_key() {
    let folder = Folder::new();
    let settings = folder.settings("key.pem");
    let barrier = std::sync::Barrier::new(8);
    let open = || {
        barrier.wait();
        kid(&Signer::open(&settings).expect("a key")).to_string()
    };
    let kids: BTreeSet<String> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        all.into_iter().map(|one| one.join().expect("ended")).collect()
    });
    assert_eq!((kids.len(), folder.names()), (1, vec!["key.pem".to_owned()]));
}

#[test]
fn keys_of_the_rfc_are_read_in_both_versions() {
    let folder = Folder::new();
    let open = |name: &str, text: &str| {
        folder.file(name, text, 0o600);
        Signer::open(&folder.settings(name)).expect(name)
    };
    let (v1, v2) = (open("v1", PRIVATE_V1), open("v2", &PRIVATE_V2.replace('\n', "\r\n")));
    let x = json!("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    assert_eq!(v1.jwks()["keys"][0]["x"], x);
    assert_eq!(v1.jwks(), v2.jwks());
    // What stands before the key, as some tools put it there, is passed over.
    let with_text = open("text", &format!("Bag Attributes\n    friendlyName: x\n{PRIVATE_V1}"));
    assert_eq!(with_text.jwks(), v1.jwks());
}

#[test]
fn files_that_are_no_key_or_that_others_can_read_are_refused() {
    let folder = Folder::new();
    let der = STANDARD.decode(PRIVATE_V2.lines().filter(|line| !line.starts_with('-')).collect::<String>());
    let mut swapped = der.expect("base64");
    *swapped.last_mut().expect("bytes") ^= 1;
    let swapped = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(swapped));
    let x25519 = PRIVATE_V1.replace("MC4CAQAwBQYDK2Vw", "MC4CAQAwBQYDK2Vu");
    let rows = [
        ("group", PRIVATE_V1, 0o640, "expected mode 600, for nobody but its owner, got 640: chmod 600"),
        ("others", PRIVATE_V1, 0o604, "got 604: chmod 600"),
        ("writable", PRIVATE_V1, 0o620, "got 620: chmod 600"),
        ("empty", "", 0o600, "expected a key in PKCS#8 and PEM, `-----BEGIN PRIVATE KEY-----`"),
        ("cut", &PRIVATE_V1[..80], 0o600, "expected a key in PKCS#8 and PEM"),
        ("public", PUBLIC, 0o600, "expected a key in PKCS#8 and PEM"),
        (
            "encrypted",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            0o600,
            "not encrypted",
        ),
        ("x25519", &x25519, 0o600, "expected a private key for Ed25519"),
        ("swapped", &swapped, 0o600, "expected a private key for Ed25519: InconsistentComponents"),
        ("large", &"x".repeat((16 << 10) + 1), 0o600, "expected a key of at most 16384 bytes"),
    ];
    for (name, text, mode, expected) in rows {
        let path = folder.file(name, text, mode);
        let error = error(&folder.settings(name));
        assert!(error.contains(&format!("key file {}: ", path.display())) && error.contains(expected), "{error}");
        assert!(!error.contains("MC4CAQ") && !error.contains("1O5y2"), "{error}");
        assert_eq!(std::fs::read_to_string(path).expect("still there"), text);
    }
}

#[test]
fn places_where_no_file_can_be_are_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.path().join("folder")).expect("a folder");
    std::os::unix::fs::symlink("nowhere", folder.0.path().join("dangling")).expect("a link");
    let rows = [
        ("folder", "cannot read it: expected a file, got something else"),
        ("dangling", "cannot read it: No such file"),
        ("missing/key.pem", "cannot make it: No such file"),
    ];
    for (name, expected) in rows {
        let error = error(&folder.settings(name));
        assert!(error.contains(expected), "{error}");
    }
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["dangling", "folder"]);
}

#[test]
fn a_rotated_key_still_verifies_and_is_published() {
    let folder = Folder::new();
    let old = Signer::open(&folder.settings("old.pem")).expect("a key");
    let token = old.mint(&grant(), NOW).expect("minted").token;
    let public = folder.file("public.pem", PUBLIC, 0o644);
    let path = |name: &str| folder.0.path().join(name);
    // One of them twice, and the own key among them: each is published once.
    let previous = vec![path("old.pem"), public, path("old.pem"), path("new.pem")];
    let new = Signer::open(&Settings { previous_key_files: previous, ..folder.settings("new.pem") }).expect("keys");
    let keys = new.jwks()["keys"].as_array().expect("a list").clone();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[1], old.jwks()["keys"][0]);
    assert_eq!(keys[2]["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    assert!(keys.iter().all(|key| key["alg"] == "EdDSA" && key["use"] == "sig" && key.get("d").is_none()));
    assert_eq!(new.verify(&token, NOW).map(|claims| claims.sub), Ok("s-1".to_owned()));
    assert!(part(&new.mint(&grant(), NOW).expect("minted").token, 0)["kid"] == kid(&new) && kid(&new) != kid(&old));

    let other_algorithm = PUBLIC.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
    let rows = [
        ("gone.pem".to_owned(), "cannot read it"),
        (folder.file("open.pem", PRIVATE_V1, 0o644).display().to_string(), "expected mode 600"),
        (folder.file("x.pem", other_algorithm, 0o644).display().to_string(), "expected a public key for Ed25519"),
        (folder.file("none.pem", "none", 0o600).display().to_string(), "expected a key in PKCS#8 and PEM"),
    ];
    for (file, expected) in rows {
        let previous_key_files = vec![path(&file)];
        let error = error(&Settings { previous_key_files, ..folder.settings("new.pem") });
        assert!(error.contains(expected) && error.contains(&file), "{error}");
    }
    assert!(!path("gone.pem").exists());
}

proptest! {
    /// Any one character of a token, changed to any other.
    #[test]
    fn a_token_that_was_tampered_with_is_refused(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9_.=+/ -]") {
        let folder = Folder::new();
        folder.file("key.pem", PRIVATE_V1, 0o600);
        let signer = folder.signer();
        let token = signer.mint(&grant(), NOW).expect("minted").token;
        let at = at.index(token.len());
        let tampered = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assert_eq!(signer.verify(&tampered, NOW).is_ok(), tampered == token);
    }
}
