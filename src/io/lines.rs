//! Sources that are not Kafka: posted events from the embedded log, a file of lines, standard input.
//!
//! Each is one shard. A file is numbered by lines, so that a restart goes on after the last line whose
//! effects are durable; standard input has no memory.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::local::LocalLedger;
use super::record::{Mark, OwnedRecord, Progress};
use crate::limits::{BATCH_RECORDS, EVENT_BYTES_MAX};

/// Name of the source of posted events.
pub const HTTP_SOURCE: &str = "http";
/// Name of standard input as a source.
pub const STDIN_SOURCE: &str = "stdin";
/// Names of files as sources begin with this.
pub const FILE_SOURCE: &str = "file:";

/// Batches of records for the one worker of such a source.
pub type Batches = Sender<Vec<OwnedRecord>>;

/// Notes progress in the embedded ledger, or nowhere for a source without a memory.
pub struct LocalProgress {
    ledger: Arc<LocalLedger>,
    keeps: bool,
}

impl LocalProgress {
    /// Progress that is kept, or not.
    #[must_use]
    pub fn new(ledger: Arc<LocalLedger>, keeps: bool) -> Self {
        Self { ledger, keeps }
    }
}

impl Progress for LocalProgress {
    fn done(&self, topic: &str, _partition: i32, mark: Mark) {
        if self.keeps {
            self.ledger.save_progress(topic, mark);
        }
    }
}

/// Follows the log of posted events from a sequence number on, until `stop`.
///
/// # Errors
/// When the log cannot be read.
pub fn follow_posted(ledger: &LocalLedger, mut from: i64, batches: &Batches, stop: &AtomicBool) -> Result<(), String> {
    let source: Arc<str> = Arc::from(HTTP_SOURCE);
    while !stop.load(Ordering::Relaxed) {
        let events = ledger.events(from, BATCH_RECORDS)?;
        let Some(last) = events.last() else {
            let _ = ledger.events_ready().recv_timeout(Duration::from_millis(200));
            continue;
        };
        from = last.seq + 1;
        let record = |event: super::local::Logged| OwnedRecord {
            source: source.clone(),
            offset: event.seq,
            append: Some(event.append),
            payload: event.bytes,
        };
        if batches.send(events.into_iter().map(record).collect()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads lines to their end, from line `from` on. Empty lines are passed over, but counted.
///
/// # Errors
/// When the input cannot be read.
pub fn read_lines(
    mut input: BufReader<impl Read>,
    source: &Arc<str>,
    from: i64,
    batches: &Batches,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut batch = Vec::new();
    for offset in 0_i64.. {
        let Some(payload) = next_line(&mut input)?.filter(|_| !stop.load(Ordering::Relaxed)) else { break };
        if offset < from || payload.is_empty() {
            continue;
        }
        batch.push(OwnedRecord { source: source.clone(), offset, append: None, payload });
        // What is typed or piped slowly is not held back for a full batch, and not waited for here.
        let more_at_hand = memchr::memchr(b'\n', input.buffer()).is_some();
        if (batch.len() >= BATCH_RECORDS || !more_at_hand) && batches.send(std::mem::take(&mut batch)).is_err() {
            return Ok(());
        }
    }
    if !batch.is_empty() {
        let _ = batches.send(batch);
    }
    Ok(())
}

/// The next line without its end; of one that is longer than any event a little more than the limit, so
/// that it is known as one. `None` at the end.
///
/// # Errors
/// When the input cannot be read.
pub fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = Read::take(&mut *input, EVENT_BYTES_MAX as u64 + 2).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() > EVENT_BYTES_MAX {
        skip_line(input)?;
    }
    line.truncate(line.trim_ascii_end().len());
    Ok(Some(line))
}

fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let rest = input.fill_buf()?;
        let (used, ended) = match memchr::memchr(b'\n', rest) {
            Some(end) => (end + 1, true),
            None => (rest.len(), rest.is_empty()),
        };
        input.consume(used);
        if ended {
            return Ok(());
        }
    }
}

/// The name of a file as a source: its full path, so that progress belongs to that file.
///
/// # Errors
/// When there is no such file.
pub fn file_source(path: &Path) -> Result<Arc<str>, String> {
    let full = path.canonicalize().map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(Arc::from(format!("{FILE_SOURCE}{}", full.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], from: i64) -> Vec<(i64, String)> {
        let (batches, received) = crossbeam_channel::unbounded();
        read_lines(BufReader::new(text), &Arc::from("t"), from, &batches, &AtomicBool::new(false)).expect("memory");
        drop(batches);
        received.iter().flatten().map(|r| (r.offset, String::from_utf8_lossy(&r.payload).into_owned())).collect()
    }

    #[test]
    fn lines_are_numbered_with_the_empty_ones() {
        let text = b"a\n\nb\r\nlast";
        assert_eq!(read(text, 0), [(0, "a".into()), (2, "b".into()), (3, "last".into())]);
        assert_eq!(read(text, 3), [(3, "last".into())]);
        assert_eq!(read(b"", 0), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let text = [vec![b'x'; EVENT_BYTES_MAX * 2], b"\nnext\n".to_vec()].concat();
        let lines = read(&text, 0);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].1.len() > EVENT_BYTES_MAX && lines[0].1.len() < EVENT_BYTES_MAX + 10);
        assert_eq!(lines[1], (1, "next".into()));
    }
}
