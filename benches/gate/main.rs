//! The gate under load, beside an empty handler of the same framework in the same process, by an outside tool.
//!
//! `hey` (a Debian package) sends the same requests at the same pace to each in turn, several rounds; the table has
//! medians over the rounds and ratios to the empty handler. Closed connections, TLS and Kafka are not in it.
//!
//!     cargo bench --bench gate [-- REQUESTS PER_SECOND ROUNDS]

use std::process::Command;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use haltline::app::{self, Hooks, SourceKind};
use haltline::config::Config;

/// Connections at once.
const CONNECTIONS: usize = 8;

struct Target {
    name: &'static str,
    url: String,
    body: String,
    /// Seconds of each answer, in order of length, by round.
    rounds: Vec<Vec<f64>>,
    /// Requests a second with no pace, by round.
    most: Vec<f64>,
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|arg| arg.parse().ok()).collect();
    let number = |n: usize, default: usize| numbers.get(n).copied().unwrap_or(default);
    let (requests, per_second, rounds) = (number(0, 10_000), number(1, 2_000), number(2, 5));
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let (empty, gate, running) = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let empty = listener.local_addr().expect("bound");
        let router = Router::new().route("/v1/gate", post(|| async { "{}" }));
        tokio::spawn(async move {
            axum::serve(axum::serve::ListenerExt::tap_io(listener, |io| drop(io.set_nodelay(true))), router).await
        });
        let mut config = Config::default();
        config.http.listen = "127.0.0.1:0".parse().expect("an address");
        config.ledger.path = dir.path().join("l.redb");
        let running = app::start(config, SourceKind::Http, Hooks::default()).await.expect("starts");
        (empty, running.address, running)
    });
    make_known(&format!("http://{gate}"));
    let url = |address| format!("http://{address}/v1/gate");
    let action = r#""action":{"kind":"tool_call","tool":"lookup_order","args":{"order":"A-10045","fields":["status","total"],"customer":"c-9"}}"#;
    let target = |name, url, body: String| Target { name, url, body, rounds: Vec::new(), most: Vec::new() };
    let mut targets = [
        target("empty handler", url(empty), format!(r#"{{"session":"known",{action}}}"#)),
        target("gate: halts only", url(gate), r#"{"session":"known"}"#.to_owned()),
        target("gate: action, session not here", url(gate), format!(r#"{{"session":"new",{action}}}"#)),
        target("gate: action, windows checked", url(gate), format!(r#"{{"session":"known",{action}}}"#)),
    ];
    for round in 0..=rounds {
        for target in &mut targets {
            let paced = hey(target, requests, Some(per_second));
            let most = hey(target, requests, None);
            // The first round warms up.
            if round > 0 {
                target.rounds.push(paced.0);
                target.most.push(most.1);
            }
        }
    }
    print(&targets, per_second);
    runtime.block_on(running.stop());
}

/// Posts events of a session, so that a worker knows it.
fn make_known(base: &str) {
    let event = r#"{"v":1,"session":"known","kind":"message","role":"user","text":"Where is my order A-10045?"}"#;
    let posted = curl(&["-H", "content-type: application/json", "-d", event, &format!("{base}/v1/events")]);
    assert!(posted.contains("\"accepted\":1"), "{posted}");
    for _ in 0..200 {
        if curl(&[&format!("{base}/v1/sessions/known")]).contains("\"running\"") {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("the session is not known");
}

fn curl(args: &[&str]) -> String {
    let output = Command::new("curl").arg("-s").args(args).output().expect("curl is installed");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Seconds of each answer, in order of length, and requests a second.
fn hey(target: &Target, requests: usize, per_second: Option<usize>) -> (Vec<f64>, f64) {
    let mut command = Command::new("hey");
    command.args(["-n", &requests.to_string(), "-c", &CONNECTIONS.to_string(), "-m", "POST", "-o", "csv"]);
    if let Some(per_second) = per_second {
        command.args(["-q", &(per_second / CONNECTIONS).to_string()]);
    }
    command.args(["-T", "application/json", "-d", &target.body, &target.url]);
    let output = command.output().expect("hey is installed: apt-get install hey");
    let text = String::from_utf8_lossy(&output.stdout);
    let (mut seconds, mut end) = (Vec::new(), 0.0_f64);
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok());
        assert_eq!(number(6), Some(200.0), "{}: {line}", target.name);
        let (Some(took), Some(offset)) = (number(0), number(7)) else { continue };
        seconds.push(took);
        end = end.max(offset + took);
    }
    assert!(!seconds.is_empty(), "{}: {text} {}", target.name, String::from_utf8_lossy(&output.stderr));
    seconds.sort_by(f64::total_cmp);
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let rate = seconds.len() as f64 / end.max(1e-9);
    (seconds, rate)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn quantile(sorted: &[f64], per_mille: usize) -> f64 {
    sorted.get((sorted.len() * per_mille / 1_000).min(sorted.len() - 1)).copied().unwrap_or_default()
}

fn print(targets: &[Target], per_second: usize) {
    println!("{CONNECTIONS} connections; at {per_second} requests a second, microseconds; then as many as go");
    println!("{:<32} {:>8} {:>8} {:>8} {:>7} {:>9} {:>7}", "", "p50", "p99", "p999", "p99 x", "most/s", "most x");
    let at =
        |target: &Target, per_mille| median(target.rounds.iter().map(|round| quantile(round, per_mille)).collect());
    let (p99, most) = targets.first().map(|empty| (at(empty, 990), median(empty.most.clone()))).unwrap_or_default();
    for target in targets {
        let micros = |per_mille| at(target, per_mille) * 1e6;
        let own = median(target.most.clone());
        println!(
            "{:<32} {:>8.0} {:>8.0} {:>8.0} {:>7.2} {:>9.0} {:>7.2}",
            target.name,
            micros(500),
            micros(990),
            micros(999),
            at(target, 990) / p99,
            own,
            own / most
        );
    }
}
