//! Recorded events: files of lines, plain or gzipped, standard input, or a topic of Kafka.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use flate2::read::MultiGzDecoder;

use super::ConfigArgs;
use crate::io::kafka::read_topic;
use crate::io::lines::next_line;
use crate::io::record::RecordView;
use crate::time::Millis;

/// Name of the log that files and standard input are read as: one, so that a session may go on in the
/// next file.
const SOURCE: &str = "replay";

/// Where recorded events are.
#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// Files of events, one JSON object a line, plain or .gz; `-` is standard input.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A topic instead of files, read from the brokers of the settings up to its present end.
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    topic: Option<String>,
    /// Only records of the topic from this time on (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "topic", value_parser = time)]
    since: Option<Millis>,
    /// Only records of the topic before this time (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "topic", value_parser = time)]
    until: Option<Millis>,
}

impl RecordArgs {
    /// Gives every record to `take`, in order.
    ///
    /// # Errors
    /// When there is nothing to read, or it cannot be read; says what.
    pub(super) fn each(&self, config: &ConfigArgs, take: &mut dyn FnMut(RecordView<'_>) -> Result<()>) -> Result<()> {
        if let Some(topic) = &self.topic {
            let config = config.load()?;
            let settings = config.kafka.resolve().map_err(anyhow::Error::msg)?;
            return read_topic(&settings, topic, (self.since, self.until), take);
        }
        if self.files.is_empty() {
            bail!("expected files of events, `-` for standard input, or --topic NAME");
        }
        let mut offset = 0;
        self.files.iter().try_for_each(|file| lines(file, &mut offset, take))
    }
}

fn lines(path: &Path, offset: &mut i64, take: &mut dyn FnMut(RecordView<'_>) -> Result<()>) -> Result<()> {
    let open = || File::open(path).with_context(|| format!("cannot read {}", path.display()));
    let mut input: Box<dyn BufRead> = match path.extension() {
        _ if path == Path::new("-") => Box::new(BufReader::new(std::io::stdin())),
        Some(extension) if extension == "gz" => Box::new(BufReader::new(MultiGzDecoder::new(open()?))),
        _ => Box::new(BufReader::new(open()?)),
    };
    while let Some(line) = next_line(&mut input).with_context(|| format!("cannot read {}", path.display()))? {
        if !line.is_empty() {
            let (key, append) = (None, None);
            take(RecordView { topic: SOURCE, partition: 0, offset: *offset, append, key, payload: &line })?;
        }
        *offset += 1;
    }
    Ok(())
}

fn time(text: &str) -> Result<Millis, String> {
    Millis::parse(text).ok_or_else(|| format!("expected a time such as 2026-11-24T10:00:00Z, got `{text}`"))
}
