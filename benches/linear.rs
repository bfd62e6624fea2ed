//! Reading hostile texts of growing length: the time for a byte must not grow with the length.
//!
//! Each text is built to be the worst for some part of the reading (decoders, folding, keywords, regexes,
//! the classifier). It is read at four lengths, 64 times apart from first to last; what is printed is
//! the time for a byte at each, and the ratio of the last to the first. A quadratic part shows as a
//! ratio near 64; a linear one stays near 1. Medians of several runs, all in this process.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use haltline::app::load_rules;
use haltline::engine::{At, Engine, HashKey, Input, Settings};
use haltline::event::parse;
use haltline::ids::ShardId;
use haltline::time::Millis;

const LENGTHS: [usize; 4] = [8 << 10, 32 << 10, 128 << 10, 512 << 10];
const RUNS: usize = 5;

/// Pieces that are repeated to the length.
const HOSTILE: [(&str, &str); 29] = [
    ("prose", "The order left the warehouse on Tuesday and arrived with a scratch on the lid. "),
    ("base64 padding", "A="),
    ("base64 of base64", "VTJGc2RHVmtYMTg9VTJGc2RHVmtYMTg9"),
    ("hex", "6e"),
    ("percent signs", "%"),
    ("percent twice", "%2525"),
    ("ampersands", "&"),
    ("open comments", "<!--"),
    ("open tags", "<a "),
    ("backslashes", "\\\\"),
    ("escapes", "\\\\u0061"),
    ("single letters", "a "),
    ("dashes", "a-"),
    ("dots and dashes", ".- "),
    ("quotes", "' + '"),
    ("leetspeak", "1gn0r3 "),
    ("combining marks", "e\u{301}\u{302}\u{303}"),
    ("zero width", "a\u{200b}"),
    ("look-alikes", "\u{0430}b"),
    ("ideographs", "\u{5ffd}\u{7565}"),
    ("keywords", "password = secret token key ignore instructions "),
    ("private key heads", "-----BEGIN RSA PRIVATE KEY----- "),
    ("heads of headers", "-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED "),
    ("private keys", "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEF\\n-----END PRIVATE KEY----- "),
    ("keys in a block", "PRIVATE KEY ghp_x7Kq2Zt9Lw4Xr8Bn5Vc3Md6Jf1Hs0Gp2Ya4 "),
    ("putty key heads", "PuTTY-User-Key-File-2: ssh-rsa "),
    ("base58", "4jJc4sAwPs7t9ZkYzQmWxUvBnHgFdRePq "),
    ("letters by number", "9-7-14-15-18-5 "),
    ("log lines", "2026-11-23T10:00:00Z INFO request=8f14e45f took=35ms status=200 "),
];

fn main() {
    let program = load_rules(&[]).expect("the built-in packs are good");
    println!(
        "{:18} {}   ns a byte, and the last over the first",
        "",
        LENGTHS.map(|l| format!("{:>8}", l >> 10)).join(" ")
    );
    for (name, piece) in HOSTILE {
        let times = LENGTHS.map(|length| {
            let json = event(&piece.repeat(length / piece.len()));
            #[expect(clippy::cast_precision_loss, reason = "for display")]
            let bytes = json.len() as f64;
            let mut runs: Vec<f64> = (0..RUNS).map(|_| time(&program, &json) / bytes).collect();
            runs.sort_by(f64::total_cmp);
            runs[RUNS / 2]
        });
        let ratio = times[LENGTHS.len() - 1] / times[0];
        println!("{name:18} {}   {ratio:.2}", times.map(|t| format!("{t:8.1}")).join(" "));
    }
}

fn event(text: &str) -> String {
    let text = text.replace('"', "\\\"");
    format!(r#"{{"v":1,"session":"s","kind":"tool_result","tool":{{"name":"fetch","result":"{text}"}}}}"#)
}

/// Nanoseconds for one event by an engine that has seen nothing.
fn time(program: &Arc<haltline::engine::Program>, json: &str) -> f64 {
    let shard = ShardId { topic: Arc::from("bench"), partition: 0 };
    let mut engine = Engine::new(shard, program.clone(), Settings { shadow: false, hash_key: HashKey([1; 16]) });
    let mut effects = Vec::new();
    let parsed = parse(json.as_bytes()).expect("an event");
    let at = At { offset: 0, append: Some(Millis(1_795_000_000_000)), silent: false };
    let start = Instant::now();
    engine.step(at, Input::Event { event: &parsed.event, digest: 0 }, &mut effects);
    black_box(&effects);
    start.elapsed().as_secs_f64() * 1e9
}
