//! What the demo prints for people, line by line as it happens.

use std::io::IsTerminal;

use super::Seen;
use super::player::Player;
use crate::app::Running;
use crate::finding::{Action, Finding};
use crate::io::clock;
use crate::io::webhook::Delivered;
use crate::shard::HaltNotice;

/// Tells the story, or nothing where the output is for programs.
pub(super) struct Story {
    pub(super) silent: bool,
}

impl Story {
    pub(super) fn begin(&self, running: &Running, once: bool) {
        self.say("Haltline demo: an in-process Kafka, six recorded agent sessions, two of them honest.");
        if !once {
            self.say(&format!("Console: http://{}    metrics: http://{0}/metrics", running.address));
        }
        self.say("");
    }

    pub(super) fn session(&self, name: &str, about: &str) {
        self.line("session", name, about, "");
    }

    /// Findings that only observe are left to the console.
    pub(super) fn finding(&self, finding: &Finding) {
        if finding.action >= Action::Flag {
            let what = format!("{} ({})", finding.evidence.summary, finding.rule);
            self.line(finding.action.as_str(), &finding.session, &what, "33");
        }
    }

    pub(super) fn halt(&self, notice: &HaltNotice) {
        let record = &notice.record;
        let after = notice.latency_seconds.map(|s| format!(", {:.0} ms after the event", s * 1e3)).unwrap_or_default();
        let event = record.event_id.as_deref().unwrap_or_default();
        self.line("HALTED", &record.session, &format!("at event {event}{after}"), "1;31");
    }

    pub(super) fn delivery(&self, delivered: &Delivered) {
        let what = format!("signed and delivered at attempt {}", delivered.attempts);
        self.line("webhook", &delivered.record.session, &what, "36");
    }

    pub(super) fn played(&self, seen: &Seen, player: &Player, running: &Running) {
        self.end(seen, player);
        self.say(&format!("The console stays at http://{} until Ctrl-C.", running.address));
    }

    pub(super) fn end(&self, seen: &Seen, player: &Player) {
        let benign = seen.halts.iter().filter(|notice| player.is_benign(&notice.record.session)).count();
        self.say("");
        self.say(&format!(
            "{} events, {} findings, {} sessions halted, {} webhooks delivered, {benign} honest sessions halted.",
            player.events(),
            seen.findings,
            seen.halts.len(),
            seen.delivered
        ));
    }

    fn line(&self, what: &str, session: &str, text: &str, colour: &str) {
        let now = clock::now().to_string();
        let time = now.get(11..23).unwrap_or_default();
        let plain = format!("{time}  {what:<8} {session:<14} {}", text.chars().take(150).collect::<String>());
        if colour.is_empty() || !std::io::stdout().is_terminal() {
            self.say(&plain);
        } else {
            self.say(&format!("\x1b[{colour}m{plain}\x1b[0m"));
        }
    }

    fn say(&self, line: &str) {
        if !self.silent {
            println!("{line}");
        }
    }
}
