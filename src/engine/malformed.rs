//! Records that are no events: scanned as raw bytes, and counted against their session.
//!
//! Malformed on purpose must not be a way past the scanner. What a rule asks for stands where the rule
//! looks at every event; a rule that looks only at some kinds can't know whether this was one, so its
//! hit is shown to people and stops nothing.

use std::borrow::Cow;

use super::field::Field;
use super::generic;
use super::texts::match_evidence;
use super::unescape::Unescaped;
use super::{At, Context, Effect, Engine, Session};
use crate::event::{Agent, Event, Kind, Leaves, Rejected, TENANT_DEFAULT, Trust};
use crate::finding::{Action, Finding};
use crate::limits::EVENT_BYTES_MAX;

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
        let event_id = origin.to_string();
        let context = self.context((&event, session_key, ts), &Leaves::of(&event), origin, event_id);
        let findings = self.scan_raw(&context, bytes);
        self.conclude(session_key, findings, effects);
    }

    fn scan_raw(&mut self, context: &Context<'_>, bytes: &[u8]) -> Vec<Finding> {
        let lossy = String::from_utf8_lossy(bytes.get(..EVENT_BYTES_MAX).unwrap_or(bytes));
        let plain = Unescaped::of(&lossy);
        let field = Field::of("record", plain.text());
        let program = self.program.clone();
        let tenant = &context.event.tenant;
        let wanted = |n: usize| program.match_rule(n).is_some_and(|(rule, _)| rule.when.passes_tenant(tenant));
        let mut findings: Vec<Finding> = Vec::new();
        for layer in program.layers(&field.layers) {
            let mut hits = self.scan_layer(&program, layer, wanted);
            generic::settle(&program, (context.event, field.path), layer.text(), &mut hits);
            for hit in hits {
                let Some((rule, check)) = program.match_rule(hit.rule) else { continue };
                if findings.iter().any(|finding| finding.rule == rule.id) {
                    continue;
                }
                let evidence = match_evidence(&program, check, (&field, layer), &hit);
                let mut finding = self.finding(rule, context, evidence, None);
                if !rule.when.passes_every_event() {
                    finding.action = finding.action.min(Action::Flag);
                }
                findings.push(finding);
            }
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
