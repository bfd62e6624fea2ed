//! Counting: recall, precision, F1, false-positive rate and AUC, by source and over all.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::corpus::Row;

/// A row and what the rules said of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) row: Row,
    /// The source that it is counted under.
    pub(super) group: String,
    /// From 0 (honest) to 1 (an attack); above 0.5 where a rule fired.
    pub(super) score: f64,
    /// The rule that fired.
    pub(super) rule: Option<String>,
}

/// The figures of all sources.
#[derive(Debug)]
pub(super) struct Figures {
    sources: BTreeMap<String, Counts>,
    overall: Counts,
}

/// The counts of one source.
#[derive(Clone, Debug, Default)]
struct Counts {
    rows: usize,
    positives: usize,
    found: usize,
    false_alarms: usize,
    /// Of attacks and of honest rows, for the AUC.
    scores: Vec<(f64, bool)>,
    labels: BTreeMap<String, (usize, usize)>,
}

impl Figures {
    pub(super) fn of(judged: &[Judged]) -> Self {
        let mut figures = Self { sources: BTreeMap::new(), overall: Counts::default() };
        for one in judged {
            figures.overall.add(one);
            figures.sources.entry(one.group.clone()).or_default().add(one);
        }
        figures
    }

    pub(super) fn as_json(&self) -> Value {
        let sources: serde_json::Map<String, Value> =
            self.sources.iter().map(|(name, counts)| (name.clone(), counts.as_json())).collect();
        json!({"sources": sources, "overall": self.overall.as_json()})
    }
}

impl Counts {
    fn add(&mut self, one: &Judged) {
        let (positive, flagged) = (one.row.is_positive(), one.rule.is_some());
        self.rows += 1;
        self.positives += usize::from(positive);
        self.found += usize::from(positive && flagged);
        self.false_alarms += usize::from(!positive && flagged);
        self.scores.push((one.score, positive));
        let label = self.labels.entry(one.row.label.clone()).or_default();
        label.0 += 1;
        label.1 += usize::from(flagged);
    }

    fn recall(&self) -> Option<f64> {
        ratio(self.found, self.positives)
    }

    fn fpr(&self) -> Option<f64> {
        ratio(self.false_alarms, self.rows - self.positives)
    }

    fn precision(&self) -> Option<f64> {
        ratio(self.found, self.found + self.false_alarms)
    }

    fn f1(&self) -> Option<f64> {
        let (precision, recall) = (self.precision()?, self.recall()?);
        (precision + recall > 0.0).then(|| 2.0 * precision * recall / (precision + recall))
    }

    /// The chance that an attack scores above an honest row; equal scores count half.
    #[expect(clippy::cast_precision_loss, reason = "numbers of rows")]
    fn auc(&self) -> Option<f64> {
        let negatives = self.rows - self.positives;
        if self.positives == 0 || negatives == 0 {
            return None;
        }
        let mut scores = self.scores.clone();
        scores.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranks = 0.0;
        let mut at = 0;
        for tied in scores.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let middle = f64::midpoint(at as f64 + 1.0, (at + tied.len()) as f64);
            ranks += middle * tied.iter().filter(|(_, positive)| *positive).count() as f64;
            at += tied.len();
        }
        let positives = self.positives as f64;
        Some((ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives as f64))
    }

    fn as_json(&self) -> Value {
        let labels: serde_json::Map<String, Value> = self
            .labels
            .iter()
            .map(|(label, (n, flagged))| (label.clone(), json!({"n": n, "flagged": flagged})))
            .collect();
        json!({
            "n": self.rows, "positives": self.positives, "recall": self.recall(), "fpr": self.fpr(), "auc": self.auc(),
            "precision": self.precision(), "f1": self.f1(), "labels": labels,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of rows")]
fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.sources.keys().map(String::len).max().unwrap_or(0).max(7);
        writeln!(
            f,
            "{:width$} {:>7} {:>9} {:>7} {:>9} {:>7} {:>7} {:>7}",
            "source", "n", "positives", "recall", "precision", "F1", "FPR", "AUC"
        )?;
        let rows = self.sources.iter().map(|(name, counts)| (name.as_str(), counts));
        for (name, counts) in rows.chain([("overall", &self.overall)]) {
            writeln!(
                f,
                "{name:width$} {:>7} {:>9} {:>7} {:>9} {:>7} {:>7} {:>7}",
                counts.rows,
                counts.positives,
                shown(counts.recall()),
                shown(counts.precision()),
                shown(counts.f1()),
                shown(counts.fpr()),
                shown(counts.auc()),
            )?;
        }
        Ok(())
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// The worst misses of each source: attacks with the lowest scores, honest rows with the highest.
pub(super) fn misses(judged: &[Judged], count: usize) -> String {
    let mut sources: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for one in judged.iter().filter(|one| one.row.is_positive() != one.rule.is_some()) {
        sources.entry(&one.group).or_default().push(one);
    }
    let mut text = String::new();
    for (name, mut missed) in sources {
        let badness = |one: &Judged| if one.row.is_positive() { 1.0 - one.score } else { one.score };
        missed.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
        let _ = writeln!(text, "\n{name}: {} missed or flagged for nothing", missed.len());
        for one in missed.into_iter().take(count) {
            let piece: String = one.row.text.chars().take(160).map(|c| if c.is_control() { ' ' } else { c }).collect();
            let why = one.rule.as_deref().unwrap_or("missed");
            let _ = writeln!(text, "  {:.3} {} {} [{why}] {piece}", one.score, one.row.id, one.row.label);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(label: &str, score: f64, flagged: bool) -> Judged {
        let text = |t: &str| t.to_owned();
        let row = Row {
            id: text("r"),
            source: text("s"),
            label: text(label),
            direction: text("user"),
            text: text("t"),
            lang: String::new(),
            notes: String::new(),
        };
        Judged { row, group: text("g"), score, rule: flagged.then(|| text("rule")) }
    }

    #[test]
    fn figures_are_what_textbooks_say() {
        let rows = [
            judged("injection", 0.9, true),
            judged("injection", 0.4, false),
            judged("benign", 0.4, false),
            judged("benign", 0.1, false),
            judged("benign", 0.8, true),
        ];
        let json = Figures::of(&rows).as_json();
        let overall = &json["overall"];
        assert_eq!(overall["n"], 5);
        assert_eq!(overall["recall"], 0.5);
        assert!((overall["fpr"].as_f64().expect("a number") - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(overall["precision"], 0.5);
        // Pairs won: 0.9 beats all three; 0.4 ties one, beats one, loses to one: 4.5 of 6.
        assert!((overall["auc"].as_f64().expect("a number") - 4.5 / 6.0).abs() < 1e-9);
        assert!(misses(&rows, 10).contains("g: 2 missed"));
    }

    #[test]
    fn a_source_without_attacks_has_no_recall() {
        let json = Figures::of(&[judged("benign", 0.1, false)]).as_json();
        assert!(json["sources"]["g"]["recall"].is_null() && json["sources"]["g"]["auc"].is_null());
        assert_eq!(json["sources"]["g"]["fpr"], 0.0);
    }
}
