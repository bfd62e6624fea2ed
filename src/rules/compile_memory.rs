//! The tables of rules with a memory: `[rate]`, `[spike]`, `[sequence]`, `[flow]`, `[repeat]`, `[score]` and
//! `[tools]`.

use toml::Spanned;

use super::compile::{Checked, Compiler, unknown};
use super::file::Names;
use super::tables::{
    FlowTable, KeyLimitTable, Number, PatternTable, RateTable, RepeatTable, ScoreTable, SequenceTable, SpikeTable,
    StepTable, ToolsTable,
};
use super::{
    Check, FlowCheck, GroupBy, KeyLimit, Measure, Pattern, RateCheck, RepeatCheck, ScoreCheck, SequenceCheck,
    SpikeCheck, SpikeMethod, Step,
};
use crate::limits::SEQUENCE_STEPS_MAX;
use crate::time::Span;

/// Half-life of a baseline where a rule names none.
const HALF_LIFE: Span = Span::seconds(86_400);
/// Longest half-life of a baseline.
const HALF_LIFE_MAX: Span = Span::seconds(30 * 86_400);
/// Closed buckets before a baseline is believed, where a rule does not say.
const WARM_UP: u32 = 12;
/// So many times the usual, where a rule does not say.
const TIMES: f64 = 3.0;
/// One in so many buckets, where a rule does not say.
const ONE_IN: f64 = 1e6;
/// Least number of identical calls that are a loop.
const REPEATS_MIN: u32 = 2;

impl Compiler<'_> {
    pub(super) fn rate_check(&self, table: &Spanned<RateTable>) -> Checked<RateCheck> {
        let inner = table.get_ref();
        let given = (&inner.count_at_least, &inner.sum_above, &inner.distinct_at_least);
        let (measure, limit) = match (given, &inner.sum, &inner.distinct) {
            ((Some(count), None, None), None, None) => (Measure::Count, self.positive(count)?),
            ((None, Some(above), None), Some(fields), None) => (Measure::Sum(self.paths(fields)?), self.number(above)?),
            ((None, None, Some(least)), None, Some(fields)) => (self.distinct(fields)?, self.positive(least)?),
            _ => {
                return self.error(
                    table,
                    "expected either `count_at_least`, or `sum` with `sum_above`, or `distinct` with \
                     `distinct_at_least`",
                );
            }
        };
        let limits =
            inner.limit.iter().map(|other| self.key_limit(table, &measure, other)).collect::<Checked<Vec<_>>>()?;
        Ok(RateCheck {
            group_by: self.group(table, &inner.group_by)?,
            window: self.window(&inner.window)?,
            measure,
            limit,
            limits,
        })
    }

    /// Values at paths, or of what events are grouped by.
    fn distinct(&self, names: &Names) -> Checked<Measure> {
        let is_path = |name: &&Spanned<String>| name.get_ref().contains(['.', '@']) || name.get_ref() == "text";
        let (paths, parts): (Vec<_>, Vec<_>) = names.0.iter().partition(is_path);
        let of = parts.into_iter().map(|name| self.group_by(name)).collect::<Checked<_>>()?;
        let fields = self.paths(&Names(paths.into_iter().cloned().collect()))?;
        Ok(Measure::Distinct { fields, of })
    }

    /// Another limit for some keys: of the same measure as the rule's own.
    fn key_limit(&self, rate: &Spanned<RateTable>, measure: &Measure, table: &KeyLimitTable) -> Checked<KeyLimit> {
        let limit = match (measure, &table.count_at_least, &table.sum_above, &table.distinct_at_least) {
            (Measure::Count, Some(limit), None, None)
            | (Measure::Sum(_), None, Some(limit), None)
            | (Measure::Distinct { .. }, None, None, Some(limit)) => self.number(limit)?,
            _ => return self.error(rate, "expected a [[rate.limit]] of the same measure as the rule's own limit"),
        };
        if table.key.0.is_empty() {
            return self.error(rate, "expected a [[rate.limit]] to name the `key` that it is for");
        }
        Ok(KeyLimit { keys: self.globs(&table.key)?, limit })
    }

    pub(super) fn spike_check(&self, table: &Spanned<SpikeTable>) -> Checked<SpikeCheck> {
        let inner = table.get_ref();
        let half_life = inner.half_life.as_ref().map_or(Ok(HALF_LIFE), |half_life| self.span(half_life))?;
        let window = self.window(&inner.window)?;
        if half_life < window || half_life > HALF_LIFE_MAX {
            let message = format!("expected a half-life between the window and {HALF_LIFE_MAX}, got {half_life}");
            return self.error(inner.half_life.as_ref().unwrap_or(&inner.window), message);
        }
        let or = |number: &Option<Number>, usual: f64| number.as_ref().map_or(Ok(usual), |number| self.number(number));
        Ok(SpikeCheck {
            group_by: self.group(table, &inner.group_by)?,
            peers: inner.peers.0.iter().map(|name| self.group_by(name)).collect::<Checked<_>>()?,
            window,
            measure: inner.sum.as_ref().map_or(Ok(Measure::Count), |fields| self.paths(fields).map(Measure::Sum))?,
            method: self.method(inner)?,
            half_life,
            seasonal: inner.seasonal,
            warm_up: inner.warm_up.as_ref().map_or(Ok(WARM_UP), |number| self.whole(number, 2, 100_000))?,
            at_least: self.number(&inner.at_least)?,
            times: or(&inner.times, TIMES)?,
            one_in: or(&inner.one_in, ONE_IN)?,
        })
    }

    fn method(&self, table: &SpikeTable) -> Checked<SpikeMethod> {
        let Some(name) = &table.method else { return Ok(SpikeMethod::Poisson) };
        match SpikeMethod::ALL.iter().find(|(known, _)| known == name.get_ref()) {
            Some((_, method)) => Ok(*method),
            None => self.error(name, unknown(name.get_ref(), &SpikeMethod::ALL.map(|(name, _)| name))),
        }
    }

    pub(super) fn sequence_check(&self, table: &Spanned<SequenceTable>) -> Checked<SequenceCheck> {
        let inner = table.get_ref();
        let any_order = match inner.order.as_ref().map(|order| (order, order.get_ref().as_str())) {
            None | Some((_, "strict")) => false,
            Some((_, "any")) => true,
            Some((at, other)) => return self.error(at, unknown(other, &["strict", "any"])),
        };
        if inner.step.len() > SEQUENCE_STEPS_MAX {
            return self.error(table, format!("expected at most {SEQUENCE_STEPS_MAX} steps"));
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut written: Vec<u8> = Vec::new();
        for step in &inner.step {
            let stage = self.stage(step, any_order, steps.last(), written.last().copied())?;
            written.push(step.get_ref().stage.as_ref().map_or(0, |stage| *stage.get_ref()));
            steps.push(self.step(step, stage)?);
        }
        let stages = steps.last().map_or(0, |step| step.stage + 1);
        let has_positive = |stage: usize| steps.iter().any(|step| step.stage == stage && !step.negated);
        if stages == 0 || !(0..stages).all(has_positive) || steps.iter().filter(|step| !step.negated).count() < 2 {
            return self.error(table, "expected at least two steps, and in each stage one without `not`");
        }
        Ok(SequenceCheck {
            group_by: self.group(table, &inner.group_by)?,
            within: self.window(&inner.within)?,
            max_gap: inner.max_gap.as_ref().map(|gap| self.window(gap)).transpose()?,
            steps,
        })
    }

    /// The stage of a step, from 0: as it is written, or one further than the step before. A step that must
    /// not come belongs to the one after it.
    fn stage(
        &self,
        step: &Spanned<StepTable>,
        any_order: bool,
        before: Option<&Step>,
        written: Option<u8>,
    ) -> Checked<usize> {
        let Some(last) = before else { return Ok(0) };
        let same = last.stage;
        match &step.get_ref().stage {
            Some(stage) if Some(*stage.get_ref()) == written => Ok(same),
            Some(stage) if Some(*stage.get_ref()) > written => Ok(same + 1),
            Some(stage) => self.error(stage, "expected the steps in the order of their stages"),
            None if any_order || last.negated => Ok(same),
            None => Ok(same + 1),
        }
    }

    fn step(&self, table: &Spanned<StepTable>, stage: usize) -> Checked<Step> {
        let inner = table.get_ref();
        let pattern = Pattern {
            when: self.when(&inner.when)?,
            finding: self.globs(&inner.finding)?,
            fields: Vec::new(),
            outside: inner.outside.as_ref().map(|names| self.globs(names)).transpose()?,
        };
        Ok(Step { name: inner.name.clone(), pattern, stage, negated: inner.not })
    }

    pub(super) fn flow_check(&self, table: &Spanned<FlowTable>) -> Checked<FlowCheck> {
        let inner = table.get_ref();
        let values_min = self.whole(&inner.values_at_least, 0, 1_000)?;
        let chars_min = self.whole(&inner.chars_at_least, 0, 1_000_000)?;
        if values_min == 0 && chars_min == 0 && !inner.tool_name {
            return self.error(table, "expected `values_at_least`, `chars_at_least` or `tool_name`: this never fires");
        }
        Ok(FlowCheck {
            group_by: self.group(table, &inner.group_by)?,
            within: self.window(&inner.within)?,
            values_min,
            chars_min,
            tool_name: inner.tool_name,
            source: self.pattern(inner.source.get_ref())?,
            sink: self.pattern(inner.sink.get_ref())?,
            known: inner.known.as_ref().map(|known| self.pattern(known.get_ref())).transpose()?,
        })
    }

    fn pattern(&self, table: &PatternTable) -> Checked<Pattern> {
        Ok(Pattern {
            when: self.when(&table.when)?,
            finding: self.globs(&table.finding)?,
            fields: self.paths(&table.fields)?,
            outside: table.outside.as_ref().map(|names| self.globs(names)).transpose()?,
        })
    }

    pub(super) fn repeat_check(&self, table: &Spanned<RepeatTable>) -> Checked<RepeatCheck> {
        let inner = table.get_ref();
        Ok(RepeatCheck {
            group_by: self.group(table, &inner.group_by)?,
            at_least: self.whole(&inner.at_least, REPEATS_MIN, 1_000_000)?.into(),
            within: self.window(&inner.within)?,
        })
    }

    pub(super) fn score_check(&self, table: &Spanned<ScoreTable>) -> Checked<ScoreCheck> {
        let inner = table.get_ref();
        Ok(ScoreCheck { half_life: self.window(&inner.half_life)?, at_least: self.positive(&inner.at_least)? })
    }

    pub(super) fn tools_check(&self, table: &Spanned<ToolsTable>) -> Checked<Check> {
        if !table.get_ref().change {
            return self.error(table, "expected `change = true`; to switch the rule off write `enabled = false`");
        }
        Ok(Check::Tools)
    }

    fn positive(&self, number: &Number) -> Checked<f64> {
        let value = self.number(number)?;
        if value <= 0.0 { self.error(&number.0, "expected a number above 0") } else { Ok(value) }
    }

    fn group<T>(&self, table: &Spanned<T>, names: &Names) -> Checked<Vec<GroupBy>> {
        if names.0.is_empty() {
            return self.error(table, "expected `group_by` to name at least one of `session`, `agent`, `tenant`…");
        }
        names.0.iter().map(|name| self.group_by(name)).collect()
    }

    fn group_by(&self, name: &Spanned<String>) -> Checked<GroupBy> {
        const KNOWN: [&str; 8] = ["session", "agent", "tenant", "tool", "server", "call", "recipient", "host"];
        Ok(match name.get_ref().as_str() {
            "session" => GroupBy::Session,
            "agent" => GroupBy::Agent,
            "tenant" => GroupBy::Tenant,
            "tool" => GroupBy::Tool,
            "server" => GroupBy::Server,
            "call" => GroupBy::Call,
            "recipient" => GroupBy::Recipient,
            "host" => GroupBy::Host,
            path if ["args.", "result.", "labels."].iter().any(|root| path.starts_with(root)) => {
                GroupBy::Field(path.to_owned())
            }
            other => return self.error(name, format!("{} or a path such as `args.to`", unknown(other, &KNOWN))),
        })
    }
}
