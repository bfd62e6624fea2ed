//! `haltline ctl`: what an operator asks of a running Haltline, and the check of its audit log.

mod audit;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::remote::RemoteArgs;

/// Look at a running Haltline and give it orders; verify its audit log.
#[derive(Debug, Args)]
pub(super) struct CtlArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    /// Tenant of the session; the token's own or the default one if not given.
    #[arg(long, global = true)]
    tenant: Option<String>,
    /// The whole answer as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sessions, those with the highest risk first.
    Sessions {
        /// Only those that are halted.
        #[arg(long)]
        halted: bool,
        /// Words in the session, its agent or the reason of its halt.
        #[arg(long)]
        search: Option<String>,
    },
    /// All that is known of one session, as JSON.
    Show {
        /// The session.
        session: String,
    },
    /// Halt a session.
    Halt(OrderArgs),
    /// Release a session.
    Resume(OrderArgs),
    /// Actions that wait for a person.
    Confirmations,
    /// Answer one of them.
    Confirm {
        /// Its id.
        id: String,
        /// What you say.
        #[arg(value_enum)]
        answer: Answer,
        #[command(flatten)]
        who: WhoArgs,
    },
    /// Load the rules anew.
    Reload(WhoArgs),
    /// The audit log.
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
}

#[derive(Debug, Args)]
struct OrderArgs {
    /// The session.
    session: String,
    #[command(flatten)]
    who: WhoArgs,
}

#[derive(Debug, Args)]
struct WhoArgs {
    /// Who you are; the name of the account if not given.
    #[arg(long, env = "USER")]
    by: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

impl WhoArgs {
    fn body(&self) -> Value {
        json!({"by": self.by, "reason": self.reason})
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Answer {
    Approve,
    Deny,
    DryRun,
}

impl Answer {
    fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::DryRun => "dry_run",
        }
    }
}

pub(super) fn run(args: &CtlArgs) -> Result<ExitCode> {
    if let Command::Audit { command: audit::Command::Verify(verify) } = &args.command {
        return audit::verify(verify, args.json);
    }
    let answer = ask(args).map_err(|why| anyhow!("{why}"))?;
    if args.json || matches!(args.command, Command::Show { .. }) {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    for line in lines(&args.command, &answer) {
        println!("{}", visible(&line));
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(args: &CtlArgs) -> Result<Value, String> {
    let tenant = ("tenant", args.tenant.as_deref());
    let get = |path: &[&str], query: &[(&str, Option<&str>)]| args.remote.ask(path, query, None);
    let order = |session: &str, order: &str, who: &WhoArgs| {
        args.remote.ask(&["sessions", session, order], &[tenant], Some(&who.body()))
    };
    match &args.command {
        Command::Sessions { halted, search } => {
            let state = ("state", halted.then_some("halted"));
            get(&["sessions"], &[tenant, state, ("q", search.as_deref()), ("sort", Some("risk"))])
        }
        Command::Show { session } => get(&["sessions", session], &[tenant]),
        Command::Halt(OrderArgs { session, who }) => order(session, "halt", who),
        Command::Resume(OrderArgs { session, who }) => order(session, "resume", who),
        Command::Confirmations => get(&["confirmations"], &[tenant]),
        Command::Confirm { id, answer, who } => {
            let body = json!({"answer": answer.name(), "by": who.by, "reason": who.reason});
            args.remote.ask(&["confirmations", id], &[], Some(&body))
        }
        Command::Reload(who) => args.remote.ask(&["rules", "reload"], &[], Some(&who.body())),
        Command::Audit { .. } => get(&["audit"], &[tenant]),
    }
}

/// The answer for people.
fn lines(command: &Command, answer: &Value) -> Vec<String> {
    let rows = |list: &str| answer.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |row: &Value, path: &str| match row.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let columns = |row: &Value, paths: &[&str]| paths.iter().map(|path| text(row, path)).collect::<Vec<_>>().join("  ");
    let told: (&str, &[&str]) = match command {
        Command::Sessions { .. } => {
            ("sessions", &["/state", "/activity/score", "/tenant", "/session", "/activity/agent", "/halt/reason"])
        }
        Command::Confirmations => {
            ("confirmations", &["/id", "/expires", "/tenant", "/session", "/action/tool", "/title"])
        }
        Command::Audit { .. } => ("entries", &["/ts", "/action", "/actor", "/tenant", "/session", "/reason"]),
        Command::Halt(_) | Command::Resume(_) => {
            return vec![columns(answer, &["/state", "/tenant", "/session", "/halt/reason"])];
        }
        Command::Confirm { .. } => return vec![columns(answer, &["/state", "/tenant", "/session", "/action/tool"])],
        Command::Reload(_) => return vec![columns(answer, &["/rules", "/hash", "/changed"])],
        Command::Show { .. } => return Vec::new(),
    };
    rows(told.0).iter().map(|row| columns(row, told.1)).collect()
}

/// Strangers wrote some of it: what would move a terminal's cursor or turn its text round is shown as a mark.
fn visible(line: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || ('\u{200b}'..='\u{200f}').contains(&c)
            || ('\u{202a}'..='\u{202e}').contains(&c)
            || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    line.chars().map(|c| if hides(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_in_lines_that_cannot_harm_a_terminal() {
        let answer = json!({"sessions": [
            {"state": "halted", "tenant": "acme", "session": "s\u{1b}[2J\u{202e}", "halt": {"reason": "too\nmany"}, "activity": {"score": 7.5, "agent": null}},
        ]});
        let told = lines(&Command::Sessions { halted: false, search: None }, &answer);
        assert_eq!(told.len(), 1);
        assert_eq!(visible(&told[0]), "halted  7.5  acme  s\u{fffd}[2J\u{fffd}  -  too\u{fffd}many");
    }
}
