//! `haltline hook`: a harness's command hook, asked of a running Haltline.
//!
//! Standard input goes to the control plane as it is, its answer to standard output. Whatever goes wrong ends
//! with exit code 2, which is how a hook refuses: any other code lets the harness go on. So no rules are
//! loaded, nothing is retried, and no error leaves this file.
//!
//! One exception: a hook that is asked before an agent stops would, by refusing, keep it at work. There the
//! exit code is 1, and the agent stops as it wanted to.

mod outcome;

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::remote::{TOKEN_VARIABLE, bearer, client, explain, token_in};
use crate::limits::HTTP_BODY_BYTES_MAX;

use outcome::{Outcome, read_answer};

/// Largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Ask a running Haltline as an agent's command hook.
#[derive(Debug, Args)]
pub(super) struct HookArgs {
    #[command(subcommand)]
    harness: Harness,
}

#[derive(Debug, Subcommand)]
enum Harness {
    /// A hook of Claude Code, the Agent SDK or Codex: JSON on standard input, the answer on standard output.
    ClaudeCode(AskArgs),
}

#[derive(Debug, Args)]
struct AskArgs {
    /// Where Haltline's control plane is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8088")]
    url: String,
    /// File with a token of scope `gate`; without it the environment variable HALTLINE_TOKEN counts.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Tenant of the session.
    #[arg(long)]
    tenant: Option<String>,
    /// Name of the agent.
    #[arg(long)]
    agent: Option<String>,
    /// Seconds until the answer must be there. Keep it below the harness's own limit, which lets the agent go
    /// on.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
    /// Let the agent go on when no answer is to be had, with a warning on standard error.
    #[arg(long)]
    fail_open: bool,
}

pub(super) fn run(args: &HookArgs) -> ExitCode {
    let Harness::ClaudeCode(args) = &args.harness;
    let variable = std::env::var(TOKEN_VARIABLE).ok();
    let ask = || match Ask::new(args, variable) {
        Ok(ask) => ask.run(std::io::stdin()),
        Err(why) => Outcome::failed("", &why, args.fail_open),
    };
    // A panic would end with a code that lets the agent go on.
    let outcome = catch_unwind(AssertUnwindSafe(ask));
    let outcome = outcome.unwrap_or_else(|_| Outcome::failed("", "expected an answer, got a defect", args.fail_open));
    outcome.tell(args.fail_open)
}

/// One question, ready to be sent.
struct Ask {
    url: Url,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    fail_open: bool,
}

impl Ask {
    fn new(args: &AskArgs, variable: Option<String>) -> Result<Self, String> {
        let url = endpoint(&args.url, args.tenant.as_deref(), args.agent.as_deref())?;
        let token = match &args.token_file {
            Some(file) => Some(token_in(file)?),
            None => variable.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
        };
        let authorization = token.as_deref().map(bearer).transpose()?;
        Ok(Self { url, authorization, timeout: Duration::from_secs(args.timeout), fail_open: args.fail_open })
    }

    /// Asks, within the time that there is. Nobody waits for a standard input that does not end.
    fn run(&self, input: impl Read + Send + 'static) -> Outcome {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Outcome::failed("", &format!("expected a runtime: {error}"), self.fail_open),
        };
        let deadline = Instant::now() + self.timeout;
        let outcome = runtime.block_on(async {
            let late = || format!("expected to be done within {} s", self.timeout.as_secs_f64());
            let payload = timeout_at(deadline, payload(input)).await.unwrap_or_else(|_| Err(late()));
            let payload = match payload {
                Ok(payload) => payload,
                Err(why) => return Outcome::failed("", &why, self.fail_open),
            };
            let hook = hook_of(&payload);
            let answer = timeout_at(deadline, self.post(payload)).await.unwrap_or_else(|_| Err(late()));
            match answer {
                Ok(answer) => Outcome::answered(answer),
                Err(why) => Outcome::failed(&hook, &why, self.fail_open),
            }
        });
        runtime.shutdown_background();
        outcome
    }

    async fn post(&self, payload: Vec<u8>) -> Result<String, String> {
        let mut request =
            client(&self.url)?.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(payload);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let origin = self.url.origin().ascii_serialization();
        let failed = |error: reqwest::Error| format!("expected an answer from {origin}: {}", explain(error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(format!("expected an answer of at most {ANSWER_BYTES_MAX} bytes from {origin}"));
            }
            body.extend_from_slice(&chunk);
        }
        read_answer(status, kind.as_deref(), &body).map_err(|why| format!("{why} from {origin}"))
    }
}

/// The hook's address below the base that was given.
fn endpoint(base: &str, tenant: Option<&str>, agent: Option<&str>) -> Result<Url, String> {
    let expected = "expected --url to be like http://127.0.0.1:8088";
    let mut url = Url::parse(base).map_err(|error| format!("{expected}: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(format!("{expected}, got another scheme than http and https"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{expected}, without a user, a query or a fragment; a token goes into --token-file"));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "hooks", "claude-code"]);
    }
    for (name, value) in [("tenant", tenant), ("agent", agent)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Ok(url)
}

/// All of standard input, read on a thread of its own, since it cannot be called off.
async fn payload(input: impl Read + Send + 'static) -> Result<Vec<u8>, String> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let read = move || {
        let mut bytes = Vec::new();
        let read = input.take(HTTP_BODY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map(|_| bytes);
        // The other side may have stopped waiting.
        let _ = send.send(read);
    };
    let started = std::thread::Builder::new().spawn(read);
    started.map_err(|error| format!("expected to read standard input: {error}"))?;
    let read = receive.await.map_err(|_| "expected to read standard input to its end".to_owned())?;
    let bytes = read.map_err(|error| format!("expected to read standard input: {error}"))?;
    match bytes.len() {
        0 => Err("expected the JSON of a hook on standard input, got nothing".to_owned()),
        length if length > HTTP_BODY_BYTES_MAX => {
            Err(format!("expected at most {HTTP_BODY_BYTES_MAX} bytes on standard input, got more"))
        }
        _ => Ok(bytes),
    }
}

/// The name of the hook, as far as it can be read; nothing else is looked at here.
fn hook_of(payload: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        hook_event_name: String,
    }
    serde_json::from_slice::<Named>(payload).map(|named| named.hook_event_name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::thread::JoinHandle;

    use clap::Parser;

    use super::*;

    const TOKEN: &str = "hl_secret-of-the-test";

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        hook: HookArgs,
    }

    fn args(more: &[&str]) -> AskArgs {
        let line = Line::try_parse_from(["haltline", "claude-code"].iter().chain(more)).expect("good arguments");
        let Harness::ClaudeCode(args) = line.hook.harness;
        args
    }

    #[test]
    fn addresses_are_built_or_refused() {
        let rows = [
            ("http://127.0.0.1:8088", None, None, "http://127.0.0.1:8088/v1/hooks/claude-code"),
            ("https://h.example/base/", None, Some("bot"), "https://h.example/base/v1/hooks/claude-code?agent=bot"),
            ("http://h", Some("a&b=c"), Some(""), "http://h/v1/hooks/claude-code?tenant=a%26b%3Dc"),
        ];
        for (base, tenant, agent, expected) in rows {
            assert_eq!(endpoint(base, tenant, agent).map(String::from).as_deref(), Ok(expected));
        }
        for base in ["", "localhost:8088", "unix:/run/x", "http://me:secret@h", "http://h/?x=1", "http://h/#x"] {
            let why = endpoint(base, None, None).expect_err(base);
            assert!(why.starts_with("expected --url") && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn a_token_comes_from_a_file_or_the_environment_and_is_never_shown() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.to_string_lossy().into_owned()
        };
        let good = file("good", &format!("{TOKEN}\n"));
        let rows = [
            (vec!["--token-file", good.as_str()], Some("other"), Some(TOKEN)),
            (vec![], Some(TOKEN), Some(TOKEN)),
            (vec![], Some(" "), None),
            (vec![], None, None),
        ];
        for (more, variable, token) in rows {
            let ask = Ask::new(&args(&more), variable.map(str::to_owned)).expect("good");
            let value = ask.authorization.as_ref().and_then(|value| value.to_str().ok());
            assert_eq!(value.map(str::to_owned), token.map(|token| format!("Bearer {token}")));
            assert!(!format!("{:?}", ask.authorization).contains(TOKEN));
        }
        let (empty, split) = (file("empty", " \n"), file("split", &format!("{TOKEN}\nmore")));
        for name in [empty.as_str(), split.as_str(), "/nowhere/at/all"] {
            let why = Ask::new(&args(&["--token-file", name]), None).err().expect("refused");
            assert!(why.starts_with("expected a token") && !why.contains(TOKEN), "{why}");
        }
    }

    /// A server that reads one request and gives `answer`; with none it says nothing until the other side has
    /// gone. Gives the request back.
    fn serve(answer: Option<String>) -> (SocketAddr, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let serve = move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let request = read_request(&mut stream);
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).expect("written"),
                None => drop(stream.read_to_end(&mut Vec::new())),
            }
            request
        };
        (address, std::thread::spawn(serve))
    }

    fn read_request(stream: &mut TcpStream) -> String {
        let (mut bytes, mut piece) = (Vec::new(), [0; 1_024]);
        while !bytes.ends_with(b"}") {
            let read = stream.read(&mut piece).expect("a request");
            bytes.extend_from_slice(&piece[..read]);
        }
        String::from_utf8_lossy(&bytes).to_lowercase()
    }

    fn response(status: &str, body: &str) -> String {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
        format!("{head}location: http://127.0.0.1:1/\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn the_question_goes_out_and_the_answer_comes_back() {
        let stop = r#"{"continue":false,"stopReason":"halted"}"#;
        let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(ANSWER_BYTES_MAX));
        let rows = [
            ("PreToolUse", Some(response("200 OK", stop)), 0, stop),
            ("PreToolUse", Some(response("200 OK", "{}")), 0, "{}"),
            ("PreToolUse", Some(response("200 OK", r#"{"ok":true}"#)), 2, "expected the answer to a hook"),
            ("PreToolUse", Some(response("200 OK", &long)), 2, "expected an answer of at most"),
            ("PreToolUse", Some(response("307 Temporary Redirect", "{}")), 2, "got status 307"),
            (
                "PreToolUse",
                Some(response("503 Unavailable", r#"{"error":{"message":"soon"}}"#)),
                2,
                "got status 503 (soon)",
            ),
            ("Stop", Some(response("503 Unavailable", "{}")), 1, "got status 503"),
            ("PreToolUse", None, 2, "expected to be done within 0.3 s"),
        ];
        for (hook, answer, code, said) in rows {
            let (address, server) = serve(answer);
            let url = format!("http://{address}");
            let arguments = args(&["--url", &url, "--tenant", "acme"]);
            let mut ask = Ask::new(&arguments, Some(TOKEN.to_owned())).expect("good");
            if said.contains("0.3 s") {
                ask.timeout = Duration::from_millis(300);
            }
            let outcome = ask.run(Cursor::new(format!(r#"{{"hook_event_name":"{hook}"}}"#)));
            let request = server.join().expect("served");
            assert!(request.starts_with("post /v1/hooks/claude-code?tenant=acme http/1.1"), "{request}");
            assert!(request.contains(&format!("authorization: bearer {TOKEN}")), "{request}");
            let told = outcome.stdout.clone().or(outcome.stderr.clone()).unwrap_or_default();
            assert!(told.contains(said) && !told.contains(TOKEN), "{outcome:?}");
            assert_eq!((outcome.code, outcome.stdout.is_some()), (code, code == 0), "{hook} {said}");
        }
    }

    /// An input that never ends until its test does.
    struct Silent(std::sync::mpsc::Receiver<()>);

    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(self.0.recv().map_or(0, |()| 0))
        }
    }

    #[test]
    fn without_a_question_or_a_server_nothing_goes_ahead() {
        let unused = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let url = format!("http://{unused}");
        let ask = |more: &[&str]| Ask::new(&args(&[&["--url", url.as_str()], more].concat()), None).expect("good");
        let refused = ask(&[]).run(Cursor::new("{}"));
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.is_some_and(|why| why.contains(&format!("expected an answer from {url}: "))));
        assert_eq!(ask(&["--fail-open"]).run(Cursor::new("{}")).code, 0);
        assert_eq!(ask(&[]).run(Cursor::new("")).code, 2);
        let endless = ask(&[]).run(std::io::repeat(b'x'));
        assert!(endless.stderr.is_some_and(|why| why.contains("bytes on standard input, got more")));
        let (end, never) = std::sync::mpsc::channel();
        let mut hasty = ask(&[]);
        hasty.timeout = Duration::from_millis(50);
        assert_eq!(hasty.run(Silent(never)).code, 2);
        drop(end);
    }
}
