//! Records of one session, one at a time, where their order matters to the receiver.
//!
//! Deliveries of one endpoint are under way side by side. A harness that is told of a halt and of its
//! release must not carry out the halt last: attempts of one session do not overlap, and once a later
//! record was read, an earlier one is not sent any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};

use crate::halt::HaltRecord;

type Names = (Arc<str>, Arc<str>);

/// One session.
pub(super) struct Lane {
    /// Held during an attempt.
    pub(super) turn: Mutex<()>,
    /// The latest epoch that was read.
    latest: watch::Sender<u64>,
}

impl Lane {
    pub(super) fn is_past(&self, epoch: u64) -> bool {
        *self.latest.borrow() > epoch
    }

    /// Waits until a record later than this was read.
    pub(super) async fn past(&self, epoch: u64) {
        // The sender lives as long as `self`.
        let _ = self.latest.subscribe().wait_for(|latest| *latest > epoch).await;
    }
}

/// The sessions with records under way.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<Names, (Arc<Lane>, usize)>,
}

impl Lanes {
    /// Notes a record, and gives its session's lane. Each call is followed by one of [`Lanes::leave`].
    pub(super) fn enter(&mut self, record: &HaltRecord) -> Arc<Lane> {
        let fresh = || (Arc::new(Lane { turn: Mutex::default(), latest: watch::Sender::new(0) }), 0);
        let (lane, held) = self.lanes.entry(names(record)).or_insert_with(fresh);
        *held += 1;
        lane.latest.send_if_modified(|latest| {
            let is_later = record.epoch > *latest;
            *latest = record.epoch.max(*latest);
            is_later
        });
        lane.clone()
    }

    /// A delivery has ended.
    pub(super) fn leave(&mut self, record: &HaltRecord) {
        let names = names(record);
        if let Some((_, held)) = self.lanes.get_mut(&names) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                self.lanes.remove(&names);
            }
        }
    }
}

fn names(record: &HaltRecord) -> Names {
    (record.tenant.clone(), record.session.clone())
}

#[cfg(test)]
mod tests {
    use super::super::shapes_tests::{halt, release};
    use super::*;

    #[tokio::test]
    async fn a_lane_knows_the_latest_record_and_is_forgotten_with_the_last() {
        let mut lanes = Lanes::default();
        let first = lanes.enter(&halt());
        assert!(!first.is_past(1));
        let second = lanes.enter(&release());
        assert!(Arc::ptr_eq(&first, &second) && first.is_past(1) && !first.is_past(2));
        first.past(1).await;
        lanes.enter(&halt());
        assert!(first.is_past(1), "what is earlier and comes later changes nothing");
        let other = HaltRecord { tenant: "other".into(), ..halt() };
        assert!(!Arc::ptr_eq(&lanes.enter(&other), &first));
        for left in [3, 2, 1] {
            assert_eq!(lanes.lanes[&names(&halt())].1, left);
            lanes.leave(&halt());
        }
        lanes.leave(&other);
        assert!(lanes.lanes.is_empty());
    }
}
