//! A receiver of webhooks that keeps what it gets and checks it with the published verifier.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use standardwebhooks::Webhook;

use super::wait_for;

/// A secret for tests only.
pub const SECRET: &str = "whsec_dGVzdC1vbmx5LXNlY3JldC1vZi0zMi1ieXRlcyEhISE=";

/// One webhook whose signature was good.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub body: Value,
}

impl Received {
    /// The session it is about.
    pub fn session(&self) -> &str {
        self.body["data"]["session"].as_str().expect("a session")
    }
}

/// A receiver on a free loopback port. It runs until the test process ends.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    refused: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    /// Starts it.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let receiver = Self { address, received: Arc::default(), refused: Arc::default() };
        let (received, refused) = (receiver.received.clone(), receiver.refused.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (received, refused) = (received.clone(), refused.clone());
                std::thread::spawn(move || serve(stream, &received, &refused));
            }
        });
        receiver
    }

    /// Settings that send webhooks here.
    pub fn settings(&self) -> String {
        format!("[[webhooks]]\nname = \"test\"\nurl = \"http://{}/hook\"\nsecret = \"{SECRET}\"\n", self.address)
    }

    /// What came so far, each id once: after a crash a webhook that was delivered may come again, and its
    /// receiver is to know it by its id. Fails when anything was badly signed.
    pub fn received(&self) -> Vec<Received> {
        assert_eq!(*self.refused.lock().expect("not poisoned"), Vec::<String>::new());
        self.received.lock().expect("not poisoned").clone()
    }

    /// Waits for so many.
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        wait_for(&format!("{count} webhooks"), || Some(self.received()).filter(|received| received.len() >= count))
    }
}

fn serve(mut stream: std::net::TcpStream, received: &Mutex<Vec<Received>>, refused: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut headers = axum::http::HeaderMap::new();
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line.trim().is_empty() && !headers.is_empty() {
            let length = headers.get("content-length").and_then(|l| l.to_str().ok()?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("as long as it says");
            match Webhook::new(SECRET).expect("a good secret").verify(&body, &headers) {
                Ok(()) => {
                    let id = headers["webhook-id"].to_str().expect("ASCII").to_owned();
                    let body = serde_json::from_slice(&body).expect("JSON");
                    keep(&mut received.lock().expect("not poisoned"), Received { id, body });
                }
                Err(error) => refused.lock().expect("not poisoned").push(error.to_string()),
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            headers.clear();
        } else if let Some((name, value)) = line.split_once(':') {
            let name: axum::http::HeaderName = name.trim().to_lowercase().parse().expect("a header");
            headers.insert(name, value.trim().parse().expect("a value"));
        }
        line.clear();
    }
}

/// Keeps what is new.
fn keep(received: &mut Vec<Received>, new: Received) {
    match received.iter().find(|old| old.id == new.id) {
        Some(old) => assert_eq!(old.body, new.body, "what comes again is the same"),
        None => received.push(new),
    }
}
