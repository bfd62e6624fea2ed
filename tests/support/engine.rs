//! The real program as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::{http, wait_for};

/// `haltline run …` on a free port. Killed when dropped.
pub struct Engine {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

/// The program with these arguments, not started yet; no settings from the environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haltline"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("HALTLINE_CONFIG").env_remove("RUST_LOG");
    command
}

impl Engine {
    /// Starts `run` with these arguments and waits for its address.
    pub fn start(args: &[&str]) -> Self {
        Self::spawn(command(&[&["run", "--set", "http.listen=127.0.0.1:0"], args].concat()))
    }

    /// Starts a prepared command and waits for its address.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().expect("not poisoned").push(line);
            }
        });
        let address = wait_for("the address of the API", || {
            let address = |line: &String| line.split_once("console at http://")?.1.trim().parse().ok();
            let found = log.lock().expect("not poisoned").iter().find_map(address);
            if found.is_none() {
                let ended = child.try_wait().expect("can be asked");
                assert!(ended.is_none(), "the program ended: {ended:?} {:#?}", log.lock().expect("not poisoned"));
            }
            found
        });
        Self { child, address, log }
    }

    /// Waits until it says that it is ready.
    pub fn ready(self) -> Self {
        wait_for("readiness", || {
            let answer = http::try_request(self.address, "GET", "/readyz", "").ok()?;
            (answer.status == 200).then_some(())
        });
        self
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("not poisoned").clone()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.expect("kill exists").success());
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().expect("still there");
        self.child.wait().expect("ends");
    }

    /// Asks it to end, as a service manager would, and returns its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        wait_for("the program to end", || self.child.try_wait().expect("can be asked")).code()
    }

    /// The sum of a metric's series, whole numbers only; 0 where there is none.
    pub fn metric(&self, name: &str) -> u64 {
        self.series(name).filter_map(|value| value.parse::<u64>().ok()).sum()
    }

    /// The largest of a metric's series; 0 where there is none.
    pub fn metric_max(&self, name: &str) -> f64 {
        self.series(name).filter_map(|value| value.parse().ok()).fold(0.0, f64::max)
    }

    fn series(&self, name: &str) -> impl Iterator<Item = String> {
        let text = http::get(self.address, "/metrics").body;
        let is_meant = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = text.lines().filter(is_meant).filter_map(|line| line.rsplit(' ').next());
        values.map(str::to_owned).collect::<Vec<_>>().into_iter()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the program's log:\n{}", self.log().join("\n"));
        }
    }
}
