//! Reading the texts of one event: every layer of every field through the scanner and the classifier.

use std::ops::Range;

use super::field::Field;
use super::stream::has_secret;
use super::{Context, Engine, Program};
use super::{generic, masks};
use crate::classify::{Head, Score};
use crate::event::{Event, Kind, LeafValue, Leaves};
use crate::finding::{Evidence, Finding, Probability};
use crate::limits::{EXCERPT_CHARS_MAX, SCORED_AROUND_BYTES};
use crate::rules::{AttackHead, ClassifyCheck, Glob, MatchCheck, Rule};
use crate::scan::Hit;
use crate::text::{Layer, Transform};

/// What a text must be scored for less when it had to be decoded first: nobody hides honest text.
const HIDDEN_LOGIT: f32 = 0.5;

impl Engine {
    pub(super) fn check_texts(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        findings: &mut Vec<Finding>,
    ) {
        // The texts as they may be shown, from the first secret on: nearly no event has one.
        let mut masked: Vec<Option<String>> = Vec::new();
        let mut secret = false;
        for leaf in leaves.iter() {
            let LeafValue::Text(text) = leaf.value else { continue };
            let field = Field::of(leaf.path, text);
            let before = findings.len();
            self.check_text(program, context, &field, findings);
            self.check_keyed(program, context, leaf.path, text, findings);
            secret = secret || (findings.len() != before && has_secret(program, findings));
            masked.push(secret.then(|| field.masked(&program.scanner)));
        }
        generic::settle_findings(program, findings);
        self.check_stream(program, context, leaves, &masked, findings);
    }

    /// Scans and scores every layer of one text.
    fn check_text(&mut self, program: &Program, context: &Context<'_>, field: &Field<'_>, findings: &mut Vec<Finding>) {
        let (event, path) = (context.event, field.path);
        let wanted =
            |n: usize| program.match_rule(n).is_some_and(|(rule, check)| looks_at(rule, &check.fields, event, path));
        for layer in program.layers(&field.layers) {
            let mut hits = self.scan_layer(program, layer, wanted);
            generic::settle(program, (event, path), layer.text(), &mut hits);
            for hit in hits {
                self.take_hit(program, context, (field, layer), &hit, findings);
            }
        }
        let wanted = |(rule, check): &(&Rule, &ClassifyCheck)| looks_at(rule, &check.fields, event, path);
        let asks = |asked: Head| program.classifies().filter(wanted).any(|(_, check)| head(check) == asked);
        if !Head::ALL.into_iter().any(asks) {
            return;
        }
        for layer in program.layers(&field.layers) {
            let scores = program.model.scores(scored_text(layer), asks, &mut self.classifier);
            for (rule, check) in program.classifies().filter(wanted) {
                let score = hidden(layer, scores.of(head(check)));
                if score.probability() < check.score_min || findings.iter().any(|finding| finding.rule == rule.id) {
                    continue;
                }
                let evidence = self.score_evidence(program, (field, layer), (head(check), score));
                findings.push(self.finding(rule, context, evidence, None));
            }
        }
    }

    /// The hits in one layer, in a buffer that is taken from the engine and goes back with the next scan.
    pub(super) fn scan_layer(
        &mut self,
        program: &Program,
        layer: &Layer<'_>,
        wanted: impl Fn(usize) -> bool,
    ) -> Vec<Hit> {
        let mut hits = Vec::new();
        program.scanner.scan(layer.text(), wanted, &mut self.scratch, &mut hits);
        hits
    }

    fn take_hit(
        &mut self,
        program: &Program,
        context: &Context<'_>,
        (field, layer): (&Field<'_>, &Layer<'_>),
        hit: &Hit,
        findings: &mut Vec<Finding>,
    ) {
        let Some((rule, check)) = program.match_rule(hit.rule) else { return };
        let action = rule.action_at(context.event, Some(field.path));
        if findings.iter().any(|finding| finding.rule == rule.id && finding.action >= action) {
            return;
        }
        let score = check.score_min.map(|least| (least, self.score_around(program, context.event, layer, hit)));
        if score.is_some_and(|(least, score)| score < least) {
            return;
        }
        let mut evidence = match_evidence(program, check, (field, layer), hit);
        evidence.score = score.map(|(_, score)| Probability::of(score));
        findings.retain(|finding| finding.rule != rule.id);
        findings.push(self.finding(rule, context, evidence, None));
    }

    /// The classifier's word on the text around a hit, decoded or not: the worst of what it is asked
    /// about such texts.
    fn score_around(&mut self, program: &Program, event: &Event<'_>, layer: &Layer<'_>, hit: &Hit) -> f32 {
        let text = layer.text();
        let start = text.floor_char_boundary(hit.range.start.saturating_sub(SCORED_AROUND_BYTES));
        let end = text.ceil_char_boundary((hit.range.end + SCORED_AROUND_BYTES).min(text.len()));
        let score = self.score_worst(program, event, text.get(start..end).unwrap_or_default());
        hidden(layer, score).probability()
    }

    /// The worst score of a text that is of no layer.
    pub(super) fn score_worst(&mut self, program: &Program, event: &Event<'_>, text: &str) -> Score {
        let heads = heads(event);
        program.model.scores(text, |head| heads.contains(&head), &mut self.classifier).worst()
    }

    fn score_evidence(
        &mut self,
        program: &Program,
        (field, layer): (&Field<'_>, &Layer<'_>),
        (head, score): (Head, Score),
    ) -> Evidence {
        let (text, path, window) = (scored_text(layer), field.path, score.range());
        let reasons = program.model.explain(text, head, &score, &mut self.classifier);
        let reasons: Vec<String> = reasons.into_iter().map(|(what, much)| format!("{what} (+{much:.1})")).collect();
        let secrets = field.secrets(&program.scanner);
        let reasons = masks::without_secrets(reasons, layer.original(), secrets);
        let is_original = std::ptr::eq(text, layer.original());
        let span = if is_original { window } else { layer.original_range(window) };
        let (excerpt, mark) = masks::excerpt(layer.original(), &span, secrets, EXCERPT_CHARS_MAX);
        let probability = Probability::of(score.probability());
        let strongest = reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
        Evidence {
            summary: format!("`{path}` reads like an attack on the agent, score {probability}{strongest}"),
            field: Some(path.to_owned()),
            excerpt: Some(excerpt),
            mark: Some(mark),
            span: Some((span.start, span.end)),
            decoded: names(layer),
            score: Some(probability),
            reasons,
        }
    }
}

/// What the classifier is asked about the texts of an event.
fn heads(event: &Event<'_>) -> &'static [Head] {
    match event.kind {
        Kind::Message => &[Head::Injection, Head::Jailbreak],
        _ => &[Head::Planted],
    }
}

/// What a rule asks the classifier.
pub(super) fn head(check: &ClassifyCheck) -> Head {
    match check.head {
        AttackHead::Injection => Head::Injection,
        AttackHead::Jailbreak => Head::Jailbreak,
        AttackHead::Planted => Head::Planted,
    }
}

/// What is scored of a layer: plain text as it stands, since line ends tell something.
fn scored_text<'l>(layer: &'l Layer<'_>) -> &'l str {
    if layer.transforms().is_empty() { layer.original() } else { layer.text() }
}

fn hidden(layer: &Layer<'_>, score: Score) -> Score {
    let more = if layer.transforms().iter().any(hides) { HIDDEN_LOGIT } else { 0.0 };
    score.plus(more)
}

/// Whether a way of writing is hardly ever used but to keep a text from being read.
fn hides(transform: &Transform) -> bool {
    use Transform::{
        Atbash, Base32, Base58, Base64, Binary, Caesar, Decimal, Hex, Leetspeak, Morse, Numbered, Reversed, Rot13,
        Selectors, Spaced, Tags,
    };
    matches!(
        transform,
        Tags | Selectors
            | Leetspeak
            | Spaced
            | Base64
            | Base58
            | Base32
            | Hex
            | Rot13
            | Caesar
            | Atbash
            | Morse
            | Binary
            | Decimal
            | Numbered
            | Reversed
    )
}

fn names(layer: &Layer<'_>) -> Vec<String> {
    layer.transforms().iter().map(|transform| transform.as_str().to_owned()).collect()
}

/// Whether a rule for these fields looks at one of an event.
pub(super) fn looks_at(rule: &Rule, fields: &[Glob], event: &Event<'_>, path: &str) -> bool {
    rule.when.passes(event) && in_fields(fields, path)
}

/// Whether a rule for these fields looks at that one; a rule without fields looks at all.
pub(super) fn in_fields(fields: &[Glob], path: &str) -> bool {
    fields.is_empty() || fields.iter().any(|glob| glob.covers(path))
}

/// The evidence of a hit; of a secret only its first characters are shown.
pub(super) fn match_evidence(
    program: &Program,
    check: &MatchCheck,
    (field, layer): (&Field<'_>, &Layer<'_>),
    hit: &Hit,
) -> Evidence {
    let path = field.path;
    let range = if check.secret { hit.core.clone() } else { hit.range.clone() };
    let matched = layer.text().get(range.clone()).unwrap_or_default();
    let span = layer.original_range(range);
    let decoded = names(layer);
    if check.secret {
        return secret_evidence(matched, span, path, decoded);
    }
    let secrets = field.secrets(&program.scanner);
    let shown: String = masks::piece(&program.scanner, layer.text(), &hit.range).chars().take(80).collect();
    let excerpt = masks::excerpt(layer.original(), &span, secrets, EXCERPT_CHARS_MAX);
    evidence((shown, excerpt), span, path, decoded)
}

/// The evidence of a secret.
pub(super) fn secret_evidence(secret: &str, span: Range<usize>, path: &str, decoded: Vec<String>) -> Evidence {
    let shown = masks::hint(secret);
    let all = (0, shown.chars().count());
    evidence((shown.clone(), (shown, all)), span, path, decoded)
}

fn evidence(
    (shown, (excerpt, mark)): (String, (String, (usize, usize))),
    span: Range<usize>,
    path: &str,
    decoded: Vec<String>,
) -> Evidence {
    let how = if decoded.is_empty() { String::new() } else { format!(", decoded from {}", decoded.join(" in ")) };
    Evidence {
        summary: format!("`{shown}` in `{path}`{how}"),
        field: Some(path.to_owned()),
        excerpt: Some(excerpt),
        mark: Some(mark),
        span: Some((span.start, span.end)),
        decoded,
        ..Evidence::default()
    }
}
