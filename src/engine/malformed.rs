//! Records that are no events: scanned as raw bytes, and counted against their session.
//!
//! Malformed on purpose must not be a way past the scanner. What a rule asks for stands where the rule
//! looks at every event; a rule that looks only at some kinds can't know whether this was one, so its
//! hit is shown to people and stops nothing.

use std::borrow::Cow;

use super::checks::match_evidence;
use super::{At, Context, Effect, Engine, Session};
use crate::event::{Agent, Event, Kind, Rejected, TENANT_DEFAULT, Trust};
use crate::finding::{Action, Finding};
use crate::limits::EVENT_BYTES_MAX;
use crate::text::View;

impl Engine {
    pub(super) fn malformed(
        &mut self,
        at: At,
        rejected: &Rejected,
        bytes: &[u8],
        key: Option<&str>,
        effects: &mut Vec<Effect>,
    ) {
        let ts = self.clamp(at, None);
        let Some(session) = rejected.session.as_deref().or(key).filter(|session| !session.is_empty()) else { return };
        let event = stand_in(rejected.tenant.as_deref().unwrap_or(TENANT_DEFAULT), session);
        let session_key = self.session_key(&event.tenant, session);
        self.sessions.touch(session_key, ts, || Session::new(&event.tenant, session, ts)).see_malformed(ts, at.offset);
        if at.silent {
            return;
        }
        let origin = self.origin(at);
        let context = Context { event: &event, session_key, ts, event_id: origin.to_string(), origin };
        let findings = self.scan_raw(&context, bytes);
        self.conclude(session_key, findings, effects);
    }

    fn scan_raw(&mut self, context: &Context<'_>, bytes: &[u8]) -> Vec<Finding> {
        let lossy = String::from_utf8_lossy(bytes.get(..EVENT_BYTES_MAX).unwrap_or(bytes));
        let text = unescape(&lossy);
        let view = View::new(&text);
        let hits = self.scan_text(view.text(), |rule| rule.when.passes_tenant(&context.event.tenant));
        let program = self.program.clone();
        let mut findings: Vec<Finding> = Vec::new();
        for hit in hits {
            let Some((rule, check)) = program.match_rule(hit.rule) else { continue };
            let mut finding = self.finding(rule, context, match_evidence(check, &view, &hit, "record"), None);
            if !rule.when.passes_every_event() {
                finding.action = finding.action.min(Action::Flag);
            }
            findings.push(finding);
        }
        findings
    }
}

/// What a finding needs to know of the record.
fn stand_in<'a>(tenant: &'a str, session: &'a str) -> Event<'a> {
    Event {
        v: 1,
        id: None,
        ts: None,
        tenant: Cow::Borrowed(tenant),
        session: Cow::Borrowed(session),
        turn: None,
        seq: None,
        agent: Agent::default(),
        kind: Kind::Other,
        role: None,
        trust: Trust::Untrusted,
        text: None,
        tool: None,
        usage: None,
        trace: None,
        labels: Vec::new(),
    }
}

/// Undoes JSON's escapes wherever they stand, so that they do not hide words in broken JSON.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('u') => {
                let hex = after.get(1..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match hex {
                    Some(code) => {
                        plain.push(char::from_u32(code).unwrap_or('\u{fffd}'));
                        rest = after.get(5..).unwrap_or_default();
                    }
                    None => rest = chars.as_str(),
                }
                continue;
            }
            Some('n' | 'r' | 't' | 'b' | 'f') => plain.push(' '),
            Some(other) => plain.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let rows = [
            ("plain", "plain"),
            (r#"a\"b\\c\/d"#, r#"a"b\c/d"#),
            (r"ig\u006eore\nall", "ignore all"),
            (r"\ud800x \u12", "\u{fffd}x 12"),
            ("end\\", "end"),
        ];
        for (text, plain) in rows {
            assert_eq!(unescape(text), plain);
        }
    }
}
