//! What the rules say of an action that has not happened yet.
//!
//! The worker that knows the session is asked first: it judges by all rules, with all that it remembers. Where none
//! here does, or does not answer in time, the action is judged alone: content and scope. Nothing here waits for the
//! ledger or Kafka.

use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{Program, Settings, WhatIf};
use crate::event::parse;
use crate::finding::{Action, Finding, Mode};
use crate::io::clock;
use crate::io::fleet::Fleet;
use crate::limits::GATE_WINDOWS_WAIT;

/// A larger action is judged on a thread where it holds up nobody else.
const JUDGED_AT_ONCE_BYTES_MAX: usize = 16 << 10;
/// Spare engines that are kept.
const SPARES_MAX: usize = 16;

/// Whether what a session did before was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Windows {
    /// All rules were asked.
    Checked,
    /// No worker of this process knows the session: content and scope only.
    NotHere,
    /// The worker that knows it did not answer in time: content and scope only.
    Unknown,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) findings: Vec<Finding>,
    pub(super) windows: Windows,
}

impl Judged {
    /// The gravest finding that counts and asks for more than a look.
    pub(super) fn gravest(&self) -> Option<&Finding> {
        let counts = |finding: &&Finding| finding.mode == Mode::Enforce && finding.action >= Action::Confirm;
        self.findings.iter().filter(counts).max_by_key(|finding| (finding.action, finding.severity))
    }
}

/// Judges actions.
pub(super) struct Judge {
    fleet: Fleet,
    settings: Settings,
    spares: Mutex<Vec<WhatIf>>,
}

impl Judge {
    pub(super) fn new(fleet: Fleet, settings: Settings) -> Self {
        Self { fleet, settings, spares: Mutex::default() }
    }

    /// Judges an action, given as the event that it would be.
    ///
    /// # Errors
    /// When it is no event; says why.
    pub(super) async fn judge(self: &Arc<Self>, program: &Arc<Program>, event: Arc<[u8]>) -> Result<Judged, String> {
        let (windows, known) = match tokio::time::timeout(GATE_WINDOWS_WAIT, self.fleet.what_if(&event)).await {
            Ok(Some(findings)) => return Ok(Judged { findings, windows: Windows::Checked }),
            Ok(None) => (Windows::NotHere, program.clone()),
            Err(_) => (Windows::Unknown, program.clone()),
        };
        let findings = if event.len() <= JUDGED_AT_ONCE_BYTES_MAX {
            self.alone(&known, &event)
        } else {
            let judge = self.clone();
            let judged = tokio::task::spawn_blocking(move || judge.alone(&known, &event)).await;
            judged.unwrap_or_else(|error| Err(error.to_string()))
        };
        Ok(Judged { findings: findings?, windows })
    }

    fn alone(&self, program: &Arc<Program>, event: &[u8]) -> Result<Vec<Finding>, String> {
        let parsed = parse(event).map_err(|rejected| rejected.detail)?;
        let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // One with old rules is of no use any more.
        let spare = spare.filter(|spare| spare.is_of(program));
        let mut spare = spare.unwrap_or_else(|| WhatIf::new(program.clone(), self.settings));
        let findings = spare.alone(&parsed.event, clock::now());
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES_MAX {
            spares.push(spare);
        }
        Ok(findings)
    }
}
