//! Settings of endpoints, good and bad.

use super::settings::*;
use super::*;
use crate::time::Span;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

fn parse(text: &str) -> WebhookSettings {
    toml::from_str(text).expect("settings")
}

fn with(name: &str, url: &str, more: &str) -> WebhookSettings {
    parse(&format!("name = '{name}'\nurl = '{url}'\n{more}"))
}

fn error(settings: &[WebhookSettings]) -> String {
    let error = endpoints(settings).expect_err("refused").to_string();
    assert!(!error.contains("MDEyMz") && !error.contains("token"), "{error}");
    error
}

#[test]
fn what_is_not_given_has_a_default() {
    let settings = with("a", "https://example.org/x", "");
    assert_eq!((&*settings.events, settings.max_age), (&EventType::ALL[..], Span::seconds(86_400)));
    let settings = with("a", "https://example.org/x", "events = ['session.resumed']\nmax_age = '30m'");
    assert_eq!((&*settings.events, settings.max_age), (&[EventType::Resumed][..], Span::seconds(1_800)));
    assert!(endpoints(&[]).expect("none").is_empty());
}

#[test]
fn what_is_unknown_or_malformed_is_refused_where_it_stands() {
    let rows = [
        ("name = 'a'\nurl = 'https://a'\nsecrt = 'x'", "unknown field `secrt`"),
        ("name = 'a'\nurl = 'https://a'\nevents = ['session.paused']", "unknown variant `session.paused`"),
        ("name = 'a'\nurl = 'https://a'\nmax_age = '1 day'", "expected a duration"),
        ("url = 'https://a'", "missing field `name`"),
        ("name = 'a'\nkind = 'teams'", "unknown variant `teams`"),
        ("name = 'a'\nevents = ['endpoint.test']", "unknown variant `endpoint.test`"),
        ("name = 'a'\nmin_severity = 'bad'", "unknown variant `bad`"),
        ("name = 'a'\nnetworks = 'private'", "unknown variant `private`"),
    ];
    for (text, expected) in rows {
        let error = toml::from_str::<WebhookSettings>(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn names_are_kebab_case_and_stand_once() {
    let secret = format!("secret = '{SECRET}'");
    for name in ["a", "on-call", "7", "a-b-c"] {
        let all = endpoints(&[with(name, "https://example.org", &secret)]).expect(name);
        assert_eq!(all.iter().map(Endpoint::name).collect::<Vec<_>>(), [name]);
    }
    for name in ["", "A", "a_b", "-a", "a-", "a--b", "a b", "ü", &"a".repeat(65)] {
        assert!(error(&[with(name, "https://example.org", &secret)]).contains("name: expected"), "{name}");
    }
    let same = with("a", "https://example.org", &secret);
    assert!(error(&[same.clone(), same]).contains("webhook `a`: expected a name of its own"));
    let many: Vec<_> = (0..33).map(|n| with(&format!("n{n}"), "https://example.org", &secret)).collect();
    assert_eq!(error(&many), "webhooks: expected at most 32, got 33");
}

#[test]
fn urls_are_https_or_stay_on_this_host() {
    let secret = format!("secret = '{SECRET}'");
    let allowed = format!("{secret}\nallow_http = true");
    let good = [
        ("https://example.org/token", &secret),
        ("http://localhost:9/token", &secret),
        ("http://127.1.2.3/token", &secret),
        ("http://[::1]:80/token", &secret),
        ("http://example.org/token", &allowed),
    ];
    for (url, more) in good {
        assert!(endpoints(&[with("a", url, more)]).is_ok(), "{url}");
    }
    let bad = [
        ("http://example.org/token", &secret, "set allow_http = true"),
        ("http://localhost.example.org/token", &secret, "set allow_http = true"),
        ("http://10.0.0.1/token", &secret, "set allow_http = true"),
        ("ftp://example.org/token", &allowed, "got scheme `ftp`"),
        ("unix:/token", &allowed, "got scheme `unix`"),
        ("https://user:token@example.org", &allowed, "user or password"),
        ("https://token@example.org", &allowed, "user or password"),
        ("example.org/token", &allowed, "relative URL"),
        ("https://", &allowed, "empty host"),
        ("https://169.254.169.254/token", &secret, "the address 169.254.169.254 is refused by networks = \"any\""),
        ("http://[fe80::1]/token", &allowed, "is refused by networks = \"any\""),
    ];
    for (url, more, expected) in bad {
        let error = error(&[with("a", url, more)]);
        assert!(error.contains(expected), "{url}: {error}");
    }
}

#[test]
fn the_secret_comes_from_one_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        format!("secret_file = '{}'", path.display())
    };
    for text in [format!("{SECRET}\n"), format!(" {SECRET}\r\n"), format!("{SECRET}\n{SECRET}\n")] {
        endpoints(&[with("a", "https://example.org", &file("good", &text))]).expect("trimmed");
    }
    let both = format!("secret = '{SECRET}'\n{}", file("both", SECRET));
    let rows = [
        (String::new(), "got neither"),
        (both, "got both"),
        (file("empty", "\n"), "expected one secret"),
        (file("short", "whsec_MDEyMzQ1"), "got 6 bytes"),
        ("secret_file = '/nowhere/at/all'".to_owned(), "cannot read /nowhere/at/all"),
        ("secret = 'MDEyMzQ1Njc4OTAx'".to_owned(), "secret: expected `whsec_`"),
        (format!("secret = '{SECRET}'\nevents = []"), "got none"),
    ];
    for (more, expected) in rows {
        let error = error(&[with("a", "https://example.org", &more)]);
        assert!(error.contains(expected), "{error}");
    }
    let shown = format!("{:?}", with("a", "https://example.org/token", &format!("secret = '{SECRET}'")));
    assert!(!shown.contains("MDEy") && !shown.contains("token"), "{shown}");
}

/// Settings of another kind: what stands between `name` and the secrets.
fn of_kind(more: &str) -> Vec<WebhookSettings> {
    vec![parse(&format!("name = 'a'\n{more}"))]
}

#[test]
fn each_kind_takes_what_it_needs() {
    let rows = [
        "kind = 'slack'\nurl = 'https://hooks.slack.example/token'",
        "kind = 'pagerduty'\nrouting_key = 'R0123456789'",
        "kind = 'pagerduty'\nrouting_key = 'R0'\nurl = 'https://events.eu.pagerduty.example/v2/enqueue'",
        "kind = 'alertmanager'\nurl = 'https://alerts.example'\nlabels = { team = 'sec', severity = 'page' }",
        "kind = 'alertmanager'\nurl = 'http://localhost:9093'\ntoken = 'abc'",
        "kind = 'control'\nurl = 'https://h.example/runs/{session}/stop'",
        "kind = 'control'\nurl = 'https://h.example/stop?s={session}'\nresume_url = 'https://h.example/go/{session}'\n\
         method = 'DELETE'\ntoken = 'abc'\ntoken_header = 'X-Api-Key'\nsecret = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz'",
        "kind = 'standard'\nurl = 'https://h.example'\nsecret = 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz'\n\
         tenants = ['acme-*']\nrules = ['leak*', 'operator']\nmin_severity = 'high'\nnetworks = 'public'\n\
         allow_networks = ['10.1.0.0/16']",
    ];
    for more in rows {
        let kind = parse(&format!("name = 'a'\n{more}")).kind;
        assert_eq!(endpoints(&of_kind(more)).expect(more)[0].kind(), kind);
    }
}

#[test]
fn what_is_of_another_kind_or_malformed_is_refused() {
    const STOP: &str = "kind = 'control'\nurl = 'https://h.example/{session}'";
    let many: Vec<String> = (0..65).map(|n| format!("'t{n}'")).collect();
    let many = format!("{STOP}\ntenants = [{}]", many.join(","));
    let rows = [
        ("kind = 'slack'", "expected url or url_file, got neither"),
        (
            "kind = 'slack'\nurl = 'https://h.example/token'\nsecret = 'x'",
            "secret: expected only with kind `standard`, `control`, got kind `slack`",
        ),
        ("kind = 'slack'\nurl = 'https://h.example/token'\ntoken = 'x'", "token: expected only with kind"),
        ("url = 'https://h.example/token'\nrouting_key = 'R0'", "routing_key: expected only with kind `pagerduty`"),
        ("url = 'https://h.example/token'\nlabels = { a = 'b' }", "labels: expected only with kind `alertmanager`"),
        (
            "url = 'https://h.example/token'\nresume_url = 'https://h.example'",
            "resume_url: expected only with kind `control`",
        ),
        ("kind = 'pagerduty'", "expected routing_key or routing_key_file, got neither"),
        ("kind = 'pagerduty'\nrouting_key = 'token!'", "routing_key: expected 1 to 128 letters and digits"),
        ("kind = 'alertmanager'\nurl = 'https://a.example'\nlabels = { session = 'x' }", "got `session`"),
        ("kind = 'alertmanager'\nurl = 'https://a.example'\nlabels = { 'a-b' = 'x' }", "got `a-b`"),
        ("kind = 'control'\nurl = 'https://h.example/stop'", "url: expected `{session}` in path or query"),
        (
            "kind = 'control'\nurl = 'https://{session}.example/stop'",
            "url: expected placeholders in path and query only",
        ),
        ("kind = 'control'\nurl = 'http://h.example/{session}'", "url: expected `https://`"),
        ("kind = 'control'\nurl = 'https://h:token@h.example/{session}'", "url: expected none with a user"),
        (&format!("{STOP}\nresume_url = 'https://h.example/'"), "resume_url: expected `{session}`"),
        (&format!("{STOP}\nresume_url = 'https://169.254.169.254/{{session}}'"), "resume_url: the address"),
        (&format!("{STOP}\nmethod = 'GET'"), "method: expected `POST`"),
        (&format!("{STOP}\ntoken = 'to ken'"), "token: expected visible ASCII"),
        (&format!("{STOP}\ntoken_header = 'X-Api-Key'"), "token_header: expected token or token_file besides"),
        (&format!("{STOP}\ntoken = 'a'\ntoken_header = 'Webhook-Id'"), "token_header: expected a header such as"),
        (&format!("{STOP}\ntoken = 'a'\ntoken_header = 'a b'"), "token_header: expected a header such as"),
        (&format!("{STOP}\ntoken = 'a'\ntoken_file = 'f'"), "expected either token or token_file, got both"),
        (&format!("{STOP}\nnetworks = 'public'\nallow_networks = ['10.1.0.0/8']"), "allow_networks: expected zeros"),
        (&format!("{STOP}\ntenants = ['']"), "tenants: expected patterns, got an empty one"),
        (&many, "tenants: expected at most 64, got 65"),
    ];
    for (more, expected) in rows {
        let error = endpoints(&of_kind(more)).expect_err(more).to_string();
        assert!(error.contains(expected), "{more}: {error}");
    }
}

#[test]
fn a_url_or_token_in_a_file_is_shown_nowhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let url = file("url", "https://hooks.slack.example/services/swordfish\n");
    let key = file("key", "swordfish\n");
    let rows = [
        format!("kind = 'slack'\nurl_file = '{url}'"),
        format!("kind = 'pagerduty'\nrouting_key_file = '{key}'"),
        format!("kind = 'control'\nurl = 'https://h.example/swordfish/{{session}}'\ntoken_file = '{key}'"),
        "kind = 'alertmanager'\nurl = 'https://a.example'\ntoken = 'swordfish'".to_owned(),
    ];
    for more in &rows {
        let settings = of_kind(more);
        let endpoints = endpoints(&settings).expect(more);
        let shown = format!("{settings:?} {endpoints:?} {:?}", endpoints[0].token);
        assert!(!shown.contains("swordfish"), "{shown}");
    }
    let broken = file("broken", "not a URL swordfish");
    let error = endpoints(&of_kind(&format!("kind = 'slack'\nurl_file = '{broken}'"))).expect_err("no URL");
    assert!(!error.to_string().contains("swordfish"), "{error}");
}
