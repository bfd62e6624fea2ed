//! Running the rules over one event.

use std::sync::Arc;

use super::program::{from_millionths, millionths};
use super::{Context, Engine, Program, Seen};
use crate::detect::{Crossing, RateDetector};
use crate::event::{Event, LeafValue, Leaves};
use crate::finding::{Evidence, Finding, Mode};
use crate::halt::HaltRecord;
use crate::ids::digest_id;
use crate::limits::{EXCERPT_CHARS_MAX, FINDINGS_PER_EVENT_MAX};
use crate::rules::{Glob, GroupBy, MatchCheck, RateCheck, Rule, Threshold, number_of, text_of};
use crate::scan::{Hit, Scratch};
use crate::text::View;

/// How much of a secret evidence shows.
const SECRET_CHARS_SHOWN: usize = 4;

impl Engine {
    /// Runs every rule; in a silent replay only those with a memory.
    pub(super) fn check(&mut self, context: &Context<'_>, silent: bool, seen: Seen, findings: &mut Vec<Finding>) {
        let program = self.program.clone();
        let leaves = Leaves::of(context.event);
        if !silent {
            self.check_matches(&program, context, &leaves, findings);
            self.check_scopes(&program, context, &leaves, findings);
        }
        if seen == Seen::New {
            self.check_rates(&program, context, &leaves, findings);
        }
        let dropped = findings.len().saturating_sub(FINDINGS_PER_EVENT_MAX);
        self.stats.findings_dropped += dropped as u64;
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.action));
        findings.truncate(FINDINGS_PER_EVENT_MAX);
    }

    fn check_matches(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let (mut scratch, mut hits) = (std::mem::take(&mut self.scratch), std::mem::take(&mut self.hits));
        for leaf in leaves.iter() {
            let LeafValue::Text(text) = leaf.value else { continue };
            let wanted = |n: usize| program.match_rule(n).is_some_and(|rule| looks_at(rule, context.event, leaf.path));
            let view = View::new(text);
            program.scanner.scan(view.text(), wanted, &mut scratch, &mut hits);
            for hit in hits.drain(..) {
                let Some((rule, check)) = program.match_rule(hit.rule) else { continue };
                if !findings.iter().any(|finding| finding.rule == rule.id) {
                    findings.push(self.finding(rule, context, match_evidence(check, &view, &hit, leaf.path), None));
                }
            }
        }
        (self.scratch, self.hits) = (scratch, hits);
    }

    fn check_scopes(&self, program: &Program, context: &Context<'_>, leaves: &Leaves<'_>, findings: &mut Vec<Finding>) {
        for (rule, check) in program.scopes().filter(|(rule, _)| rule.when.passes(context.event)) {
            let covered = leaves.iter().filter(|leaf| check.fields.iter().any(|glob| glob.covers(leaf.path)));
            let mut exceeded =
                covered.filter_map(|leaf| Some((leaf.path, check.limit.exceeded(leaf.value, context.event)?)));
            if let Some((path, why)) = exceeded.next() {
                let evidence = Evidence {
                    summary: format!("`{path}` {why}"),
                    field: Some(path.to_owned()),
                    ..Evidence::default()
                };
                findings.push(self.finding(rule, context, evidence, None));
            }
        }
    }

    fn check_rates(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let settled = self.halts.get(&context.session_key).is_some_and(|halt| halt.voids(&context.origin));
        for (n, rule, check) in program.rates().filter(|(_, rule, _)| rule.when.passes(context.event)) {
            let of_session = check.group_by.contains(&GroupBy::Session);
            let owner = if of_session { context.session_key } else { 0 };
            let Some(key) = self.rate_key(rule, check, context, leaves) else { continue };
            let Some(amount) = amount(check, leaves) else { continue };
            if settled && of_session {
                continue;
            }
            let crossing = self.rates.get_mut(n).and_then(|rate| rate.observe(key, owner, context.ts, amount));
            if let Some(crossing) = crossing {
                let evidence = rate_evidence(check, crossing, self.rates.get(n));
                let episode = self.episode_id(rule, check, context, leaves, crossing);
                findings.push(self.finding(rule, context, evidence, Some(episode)));
            }
        }
    }

    /// The key of the window that an event counts in; `None` where a part of it is missing.
    fn rate_key(&self, rule: &Rule, check: &RateCheck, context: &Context<'_>, leaves: &Leaves<'_>) -> Option<u128> {
        let parts = group_parts(check, context.event, leaves)?;
        let mut parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        parts.push(rule.id.as_bytes());
        Some(self.settings.hash_key.of(&parts))
    }

    /// The id of an episode follows from the key itself, not from its secret hash, so that another
    /// replica makes the same.
    fn episode_id(
        &self,
        rule: &Rule,
        check: &RateCheck,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        crossing: Crossing,
    ) -> String {
        let parts = group_parts(check, context.event, leaves).unwrap_or_default();
        let bucket = crossing.bucket.to_le_bytes();
        // A release settles what was before it: what comes after is another episode, even in this bucket.
        let releases = self.halts.get(&context.session_key).map_or(0, HaltRecord::releases).to_le_bytes();
        let mut all: Vec<&[u8]> = vec![rule.id.as_bytes(), rule.version.as_bytes(), &bucket, &releases];
        all.extend(parts.iter().map(|part| part.as_bytes()));
        digest_id("f_", &all)
    }

    pub(super) fn finding(
        &self,
        rule: &Rule,
        context: &Context<'_>,
        evidence: Evidence,
        episode: Option<String>,
    ) -> Finding {
        let event = context.event;
        let (tenant, session) = match self.sessions.get(context.session_key) {
            Some(known) => known.names(),
            None => (Arc::from(event.tenant.as_ref()), Arc::from(event.session.as_ref())),
        };
        let id = episode.unwrap_or_else(|| {
            let origin = context.origin.to_string();
            digest_id("f_", &[origin.as_bytes(), rule.id.as_bytes(), rule.version.as_bytes()])
        });
        Finding {
            v: 1,
            id,
            tenant,
            session,
            agent: event.agent.id.as_deref().map(str::to_owned),
            event_id: context.event_id.clone(),
            tool: event.tool.as_ref().map(|tool| tool.name.to_string()),
            ts: context.ts,
            rule: rule.id.clone(),
            rule_version: rule.version.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            action: rule.action,
            mode: if self.settings.shadow { Mode::Shadow } else { rule.mode },
            tags: rule.tags.clone(),
            evidence,
            origin: context.origin.clone(),
        }
    }

    /// Scans one text with the rules for which `wanted` holds; for texts that are not of an event.
    pub(super) fn scan_text(&mut self, text: &str, wanted: impl Fn(&Rule) -> bool) -> Vec<Hit> {
        let program = self.program.clone();
        let mut hits = Vec::new();
        let mut scratch = Scratch::default();
        let wanted = |n: usize| program.match_rule(n).is_some_and(|(rule, _)| wanted(rule));
        program.scanner.scan(text, wanted, &mut scratch, &mut hits);
        hits
    }
}

fn looks_at((rule, check): (&Rule, &MatchCheck), event: &Event<'_>, path: &str) -> bool {
    rule.when.passes(event) && (check.fields.is_empty() || check.fields.iter().any(|glob| glob.covers(path)))
}

/// The evidence of a hit; of a secret only its first characters are shown.
pub(super) fn match_evidence(check: &MatchCheck, view: &View<'_>, hit: &Hit, path: &str) -> Evidence {
    let matched = view.text().get(hit.range.clone()).unwrap_or_default();
    let (shown, excerpt) = if check.secret {
        let masked = format!("{}…", matched.chars().take(SECRET_CHARS_SHOWN).collect::<String>());
        (masked.clone(), masked)
    } else {
        (matched.chars().take(80).collect(), view.excerpt(hit.range.clone(), EXCERPT_CHARS_MAX))
    };
    let span = view.original_range(hit.range.clone());
    Evidence {
        summary: format!("`{shown}` in `{path}`"),
        field: Some(path.to_owned()),
        excerpt: Some(excerpt),
        span: Some((span.start, span.end)),
    }
}

fn rate_evidence(check: &RateCheck, crossing: Crossing, detector: Option<&RateDetector>) -> Evidence {
    let window = detector.map_or(check.window, RateDetector::span);
    let summary = match &check.threshold {
        Threshold::CountAtLeast(limit) => format!("{} events in {window}, limit {limit}", crossing.value),
        Threshold::SumAbove { above, .. } => {
            format!("a sum of {} in {window}, limit {above}", from_millionths(crossing.value))
        }
    };
    Evidence { summary, ..Evidence::default() }
}

/// What an event adds to a window; `None` where it has no such number.
fn amount(check: &RateCheck, leaves: &Leaves<'_>) -> Option<i64> {
    match &check.threshold {
        Threshold::CountAtLeast(_) => Some(0),
        Threshold::SumAbove { fields, .. } => first_number(fields, leaves).map(millionths),
    }
}

fn first_number(fields: &[Glob], leaves: &Leaves<'_>) -> Option<f64> {
    leaves.iter().filter(|leaf| fields.iter().any(|glob| glob.covers(leaf.path))).find_map(|leaf| number_of(leaf.value))
}

/// The parts that make a window's key, the tenant first.
fn group_parts(check: &RateCheck, event: &Event<'_>, leaves: &Leaves<'_>) -> Option<Vec<String>> {
    let mut parts = vec![event.tenant.to_string()];
    for part in &check.group_by {
        let tool = event.tool.as_ref();
        match part {
            GroupBy::Tenant => {}
            GroupBy::Session => parts.push(event.session.to_string()),
            GroupBy::Agent => parts.push(event.agent.id.as_deref()?.to_owned()),
            GroupBy::Tool => parts.push(tool?.name.to_string()),
            GroupBy::Call => {
                parts.push(tool?.name.to_string());
                parts.push(tool?.args.as_ref().map(|args| args.get().to_owned()).unwrap_or_default());
            }
            GroupBy::Field(path) => parts.push(text_of(leaves.get(path)?)),
        }
    }
    Some(parts)
}
