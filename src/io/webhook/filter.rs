//! Which records an endpoint is told of.

use super::payload::EventType;
use super::shapes::{cause, severity};
use crate::finding::Severity;
use crate::halt::HaltRecord;
use crate::rules::Glob;

/// All of it must hold; what is empty holds for everything.
///
/// A release is judged by the halt that it lifts, so that both go to the same endpoints. Where that halt
/// is not known, the release passes the filters by rule and severity. An operator's halt has the rule
/// `operator` and passes every severity.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) events: Vec<EventType>,
    pub(super) tenants: Vec<Glob>,
    pub(super) rules: Vec<Glob>,
    pub(super) min_severity: Option<Severity>,
}

impl Filter {
    pub(super) fn wants(&self, record: &HaltRecord) -> bool {
        let of_rule = |rule| Glob::any(&self.rules, rule);
        self.events.contains(&EventType::of(record))
            && (self.tenants.is_empty() || Glob::any(&self.tenants, &record.tenant))
            && (self.rules.is_empty() || cause(record).is_none_or(of_rule))
            && self.min_severity.is_none_or(|least| severity(record).is_none_or(|it| it >= least))
    }
}

#[cfg(test)]
mod tests {
    use super::super::shapes_tests::{halt, release};
    use super::*;

    fn globs(list: &[&str]) -> Vec<Glob> {
        list.iter().map(|glob| Glob::new(*glob)).collect()
    }

    #[test]
    fn a_release_goes_where_its_halt_went() {
        let operators = HaltRecord { rule: None, severity: None, ..halt() };
        let unknown = HaltRecord { lifted: None, ..release() };
        let both = EventType::ALL.to_vec();
        let filter = |tenants: &[&str], rules: &[&str], min_severity| Filter {
            events: both.clone(),
            tenants: globs(tenants),
            rules: globs(rules),
            min_severity,
        };
        // Filter; whether it wants a halt and its release, an operator's halt, a release of an unknown halt.
        let rows = [
            (filter(&[], &[], None), true, true, true),
            (filter(&["acme"], &["le*"], Some(Severity::High)), true, false, true),
            (filter(&["ac*", "other"], &[], None), true, true, true),
            (filter(&["other"], &[], None), false, false, false),
            (filter(&[], &["other", "operator"], None), false, true, true),
            (filter(&[], &["leak"], None), true, false, true),
            (filter(&[], &[], Some(Severity::Critical)), false, true, true),
            (filter(&[], &[], Some(Severity::Low)), true, true, true),
        ];
        for (filter, of_rule, of_operator, of_unknown) in rows {
            let wants = [halt(), release(), operators.clone(), unknown.clone()].map(|record| filter.wants(&record));
            assert_eq!(wants, [of_rule, of_rule, of_operator, of_unknown], "{filter:?}");
        }
        let halts_only = Filter { events: vec![EventType::Halted], ..filter(&[], &[], None) };
        assert!(halts_only.wants(&halt()) && !halts_only.wants(&release()));
    }
}
