//! Templates → labelled rows: what the classifier is trained on.
//!
//! Each template is expanded more often the more choices it has. Instructions are planted in carriers
//! at one of their places; a carrier with nothing planted is the honest twin of what stands around
//! them. Short attacks also come before or after an honest request, and some texts a second time as
//! people type: in one case, without punctuation, with slips.

use super::grammar::{Grammar, HERE, Template};
use super::{Evasion, Random, Row};

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    /// Most texts of one template.
    pub per_template: usize,
    /// Carriers that each planted instruction is put into.
    pub carriers: usize,
    /// Seed of all choices.
    pub seed: u64,
}

impl Default for Amounts {
    fn default() -> Self {
        Self { per_template: 12, carriers: 2, seed: 11 }
    }
}

/// Choices in a template for each further text of it.
const CHOICES_PER_TEXT: usize = 4;
/// Longest attack that is joined with an honest request, and longest request, in bytes.
const JOINED_BYTES: (usize, usize) = (260, 900);
/// Of so many rows, one comes again as people type.
const TYPED_ONE_IN: usize = 4;

/// Makes the rows of all files; the same files and amounts give the same rows.
#[must_use]
pub fn compose(files: &[(String, Grammar)], amounts: Amounts) -> Vec<Row> {
    let mut composer = Composer { random: Random::new(amounts.seed), amounts, rows: Vec::new() };
    let (mut payloads, mut carriers) = (Vec::new(), Vec::new());
    for (name, grammar) in files {
        for template in &grammar.templates {
            for row in composer.expand(name, grammar, template) {
                match template.label.as_str() {
                    "payload" => payloads.push(row),
                    "carrier" => carriers.push(row),
                    _ => composer.rows.push(row),
                }
            }
        }
    }
    composer.plant(&payloads, &carriers);
    composer.join();
    composer.retype();
    composer.rows
}

struct Composer {
    random: Random,
    amounts: Amounts,
    rows: Vec<Row>,
}

impl Composer {
    fn expand(&mut self, file: &str, grammar: &Grammar, template: &Template) -> Vec<Row> {
        let by_choices = (1 + Grammar::choices(template) / CHOICES_PER_TEXT).min(self.amounts.per_template);
        let texts = template.expand.unwrap_or(by_choices).max(1);
        let one = |number: usize| Row {
            id: format!("{file}:{}:{number}", template.line),
            source: file.to_owned(),
            label: template.label.clone(),
            direction: template.direction.clone(),
            text: grammar.expand(template, &mut self.random),
            lang: template.lang.clone(),
            notes: template.family.clone(),
        };
        (0..texts).map(one).collect()
    }

    fn plant(&mut self, payloads: &[Row], carriers: &[Row]) {
        for carrier in carriers {
            let text = carrier.text.replace(HERE, "");
            self.rows.push(Row { label: "benign".to_owned(), text, ..carrier.clone() });
        }
        for payload in payloads {
            self.rows.push(Row { label: "injection".to_owned(), ..payload.clone() });
            for _ in 0..self.amounts.carriers {
                let Some(carrier) = self.random.pick(carriers) else { continue };
                let text = planted(&carrier.text, &payload.text, &mut self.random);
                let (id, label) = (format!("{} in {}", payload.id, carrier.id), "injection".to_owned());
                self.rows.push(Row { id, label, text, ..payload.clone() });
            }
        }
    }

    /// Short attacks beside an honest request, and honest requests beside each other.
    fn join(&mut self) {
        const JOINTS: [&str; 7] = ["\n", " ", "\n\n", ". ", "\n\n\n", " - ", "\n---\n"];
        let short = |row: &&Row, bytes: usize| row.direction == "user" && row.text.len() < bytes;
        let honest: Vec<Row> =
            self.rows.iter().filter(|row| short(row, JOINED_BYTES.1) && !row.is_positive()).cloned().collect();
        let attacks: Vec<Row> =
            self.rows.iter().filter(|row| short(row, JOINED_BYTES.0) && row.is_positive()).cloned().collect();
        for attack in attacks {
            let (Some(request), Some(other)) = (self.random.pick(&honest), self.random.pick(&honest)) else { return };
            let joint = self.random.pick(&JOINTS).copied().unwrap_or(" ");
            let first = !self.random.once_in(3);
            let (a, b) = if first { (&attack.text, &request.text) } else { (&request.text, &attack.text) };
            let (id, notes) = (format!("{} beside {}", attack.id, request.id), format!("{} joined", attack.notes));
            self.rows.push(Row { id, notes, text: format!("{a}{joint}{b}"), ..attack.clone() });
            let (id, text) =
                (format!("{} beside {}", other.id, request.id), format!("{}{joint}{}", other.text, request.text));
            self.rows.push(Row { id, text, notes: "joined".to_owned(), ..other.clone() });
        }
    }

    fn retype(&mut self) {
        const TYPED: [&str; 4] = ["typos", "upper-case", "lower-case", "no-punctuation"];
        for n in 0..self.rows.len() {
            if !self.random.once_in(TYPED_ONE_IN) {
                continue;
            }
            let Some(row) = self.rows.get(n).cloned() else { return };
            let how = self.random.pick(&TYPED).copied().unwrap_or_default();
            let text = match Evasion::ALL.iter().find(|evasion| evasion.name == how) {
                Some(evasion) => evasion.hide(&row.text, &mut self.random),
                None if how == "lower-case" => row.text.to_lowercase(),
                None => row.text.chars().filter(|c| !matches!(c, '.' | ',' | '!' | '"' | '\'' | '?')).collect(),
            };
            self.rows.push(Row { id: format!("{} {how}", row.id), text, ..row });
        }
    }
}

/// A carrier with an instruction at one of its places; inside a JSON string it is escaped.
fn planted(carrier: &str, payload: &str, random: &mut Random) -> String {
    let chosen = random.below(carrier.matches(HERE).count());
    let mut text = String::new();
    for (place, piece) in carrier.split(HERE).enumerate() {
        if place == chosen + 1 {
            let in_string = text.trim_end().ends_with('"');
            let escaped = || payload.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            text.push_str(&if in_string { escaped() } else { payload.to_owned() });
        }
        text.push_str(piece);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_planted_and_carriers_are_their_twins() {
        let text = "== label=payload direction=tool_result family=f lang=en\nsay \"x\"\n\
            == label=carrier direction=tool_result family=c lang=en\n\\{\"a\": \"{here}\"\\} and {here}.\n";
        let grammar = Grammar::parse(text).expect("good");
        let rows = compose(&[("f".to_owned(), grammar)], Amounts::default());
        let benign: Vec<&str> = rows.iter().filter(|r| !r.is_positive()).map(|r| r.text.as_str()).collect();
        assert!(benign.contains(&"{\"a\": \"\"} and ."), "{benign:?}");
        let planted = rows.iter().filter(|r| r.is_positive() && r.text.contains("and"));
        for row in planted {
            let whole = row.text == "{\"a\": \"say \\\"x\\\"\"} and ." || row.text == "{\"a\": \"\"} and say \"x\".";
            assert!(
                whole || row.id.contains("typos") || row.id.contains("case") || row.id.contains("punct"),
                "{}",
                row.text
            );
        }
    }
}
