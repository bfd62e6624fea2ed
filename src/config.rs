//! Settings: one TOML file, overridden by the environment and by `--set`.
//!
//! The file is read strictly, and its errors point at line and column. `HALTLINE__KAFKA__BROKERS=…` and
//! `--set kafka.brokers=…` name the same setting; the command line wins over the environment, which wins
//! over the file. A value is read as TOML where it is TOML (`8`, `true`, `["a", "b"]`), else as text.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::io::api::{GateSettings, HttpSettings};
use crate::io::credentials::Settings as CredentialSettings;
use crate::io::kafka::KafkaSettings;
use crate::io::webhook::WebhookSettings;
use crate::rules::Diagnostic;

const ENV_PREFIX: &str = "HALTLINE__";

/// All settings.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The control API.
    pub http: HttpSettings,
    /// What the gate says where it does not know.
    pub gate: GateSettings,
    /// Run credentials.
    pub credentials: CredentialSettings,
    /// Kafka.
    pub kafka: KafkaSettings,
    /// The embedded ledger, for use without Kafka.
    pub ledger: LedgerSettings,
    /// Rules.
    pub rules: RulesSettings,
    /// Webhook endpoints.
    pub webhooks: Vec<WebhookSettings>,
    /// Logs.
    pub log: LogSettings,
}

/// `[ledger]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// The file.
    pub path: PathBuf,
}

impl Default for LedgerSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("haltline.redb") }
    }
}

/// `[rules]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesSettings {
    /// Files and folders; a later one replaces rules and lists of an earlier one. The packs that are
    /// built in where it is empty; the word `builtin` stands for them in a list.
    pub paths: Vec<PathBuf>,
    /// Every rule only says what it would have done.
    pub shadow: bool,
}

/// `[log]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `info`, `debug`, or any filter of the `tracing` kind.
    pub level: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info".to_owned(), json: false }
    }
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings {path}: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is wrong at one place.
    #[error("{0}")]
    Wrong(Diagnostic),
    /// An override is wrong.
    #[error("{0}")]
    Override(String),
}

impl Config {
    /// Reads the file, if one is given, and the overrides.
    ///
    /// # Errors
    /// Says what is wrong, where, and what was expected.
    pub fn load(
        path: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let text = match path {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| ConfigError::Unreadable { path: path.display().to_string(), error })?,
            None => String::new(),
        };
        let file = path.map(|path| path.display().to_string()).unwrap_or_default();
        // Read once as it stands, for errors with their place, and once more with what overrides it.
        let wrong = |error: toml::de::Error| ConfigError::Wrong(Diagnostic::of_toml(&file, &text, &error));
        toml::from_str::<Self>(&text).map_err(wrong)?;
        let mut table: toml::Table = toml::from_str(&text).map_err(wrong)?;
        let mut named = Vec::new();
        let from_env = env.filter_map(|(key, value)| {
            let path = key.strip_prefix(ENV_PREFIX)?.to_lowercase().replace("__", ".");
            Some((key, path, value))
        });
        for (name, path, value) in sorted(from_env).chain(split_sets(sets)?) {
            put(&mut table, &path, &value).map_err(|why| ConfigError::Override(format!("{name}: {why}")))?;
            named.push(name);
        }
        let config = Self::deserialize(toml::Value::Table(table));
        config.map_err(|error| ConfigError::Override(format!("{}: {}", named.join(", "), error.message())))
    }
}

fn sorted(items: impl Iterator<Item = (String, String, String)>) -> impl Iterator<Item = (String, String, String)> {
    let mut items: Vec<_> = items.collect();
    items.sort();
    items.into_iter()
}

fn split_sets(sets: &[String]) -> Result<impl Iterator<Item = (String, String, String)>, ConfigError> {
    let split = |set: &String| match set.split_once('=') {
        Some((path, value)) => Ok((format!("--set {path}"), path.to_owned(), value.to_owned())),
        None => Err(ConfigError::Override(format!("--set {set}: expected section.key=value"))),
    };
    Ok(sets.iter().map(split).collect::<Result<Vec<_>, _>>()?.into_iter())
}

/// Puts a value at a dotted path, opening sections on the way.
fn put(table: &mut toml::Table, path: &str, value: &str) -> Result<(), String> {
    let expected = || format!("expected section.key, such as http.listen, got `{path}`");
    let (sections, key) = path.rsplit_once('.').ok_or_else(expected)?;
    let mut inner = table;
    for section in sections.split('.') {
        let entry = inner.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        inner = entry.as_table_mut().ok_or_else(expected)?;
    }
    inner.insert(key.to_owned(), value_of(value));
    Ok(())
}

fn value_of(text: &str) -> toml::Value {
    let parsed: Result<toml::Table, _> = toml::from_str(&format!("value = {text}"));
    let parsed = parsed.ok().and_then(|mut table| table.remove("value"));
    // A date or the like is meant as text: no setting has that type.
    let usable = parsed.filter(|value| !matches!(value, toml::Value::Datetime(_)));
    usable.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("h.toml");
        std::fs::write(&path, text).expect("writes");
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
        Config::load(Some(&path), env, &sets)
            .map_err(|error| error.to_string().replace(&path.display().to_string(), "h.toml"))
    }

    #[test]
    fn the_command_line_wins_over_the_environment_over_the_file() {
        let text = "[kafka]\nbrokers = \"file:1\"\ngroup = \"file\"\ntopics = [\"file\"]\n";
        let env = [("HALTLINE__KAFKA__BROKERS", "env:1"), ("HALTLINE__KAFKA__GROUP", "env"), ("OTHER", "x")];
        let config = load(text, &env, &["kafka.brokers=set:1", "rules.shadow=true", "kafka.workers=3"]).expect("good");
        assert_eq!((config.kafka.brokers.as_str(), config.kafka.group.as_str()), ("set:1", "env"));
        assert_eq!(config.kafka.topics, ["file"]);
        assert_eq!((config.rules.shadow, config.kafka.workers), (true, 3));
        let listed = load("", &[("HALTLINE__KAFKA__TOPICS", r#"["a", "b"]"#)], &[]).expect("good");
        assert_eq!(listed.kafka.topics, ["a", "b"]);
    }

    #[test]
    fn errors_say_where_and_what_was_expected() {
        let rows: [(&str, &[&str], &str); 6] = [
            ("[kafka]\nbroker = \"x\"\n", &[], "h.toml:2:1: unknown field `broker`"),
            ("[kafka]\nbrokers = 3\n", &[], "h.toml:2:11: invalid type"),
            ("[http\n", &[], "h.toml:1:6:"),
            ("", &["kafka"], "--set kafka: expected section.key=value"),
            ("", &["kafka.broker=x"], "--set kafka.broker: unknown field `broker`"),
            ("", &["http.listen=nowhere"], "--set http.listen: "),
        ];
        for (text, sets, start) in rows {
            let error = load(text, &[], sets).expect_err(text);
            assert!(error.starts_with(start), "{error}");
        }
        let hint = load("[kafka]\nbroker = \"x\"\n", &[], &[]).expect_err("misspelt");
        assert!(hint.contains("did you mean `brokers`?"), "{hint}");
    }
}
