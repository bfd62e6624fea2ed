//! What a harness gets: Haltline's answer, or a refusal with its reason.

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

/// How a hook refuses.
const EXIT_REFUSED: u8 = 2;
/// A failure that the harness reports and does not act on.
const EXIT_FAILED: u8 = 1;
/// Hooks for which refusing means that the agent goes on.
const REFUSING_KEEPS_AT_WORK: [&str; 4] = ["Stop", "SubagentStop", "TaskCompleted", "TeammateIdle"];
/// Longest reason on standard error, in characters: a model reads it.
const WHY_CHARS_MAX: usize = 300;
/// Fields that an answer may have.
const ANSWER_FIELDS: [&str; 7] =
    ["continue", "stopReason", "decision", "reason", "hookSpecificOutput", "suppressOutput", "systemMessage"];

/// What the harness gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: u8,
    pub(super) stdout: Option<String>,
    pub(super) stderr: Option<String>,
}

impl Outcome {
    pub(super) fn answered(answer: String) -> Self {
        Self { code: 0, stdout: Some(answer), stderr: None }
    }

    /// No answer; `hook` is the name of the hook, where it is known.
    pub(super) fn failed(hook: &str, why: &str, fail_open: bool) -> Self {
        let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WHY_CHARS_MAX).collect();
        let (code, so) = if fail_open {
            (0, "warning: nothing was checked, since --fail-open is set")
        } else if REFUSING_KEEPS_AT_WORK.contains(&hook) {
            (EXIT_FAILED, "nothing was checked")
        } else {
            (EXIT_REFUSED, "refused, since nothing could be checked")
        };
        Self { code, stdout: None, stderr: Some(format!("haltline: {so}: {why}")) }
    }

    pub(super) fn tell(self, fail_open: bool) -> ExitCode {
        let mut code = self.code;
        if let Some(answer) = self.stdout {
            let mut out = std::io::stdout().lock();
            if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() && !fail_open {
                code = EXIT_REFUSED;
            }
        }
        if let Some(why) = self.stderr {
            // Nobody may be listening, which changes nothing.
            let _ = writeln!(std::io::stderr(), "{why}");
        }
        ExitCode::from(code)
    }
}

/// What a status and a body come to: the answer for the harness, on one line, or what was wrong with them.
/// Anything that Haltline does not say is no answer, or another program at that address would let everything
/// through.
pub(super) fn read_answer(status: u16, kind: Option<&str>, body: &[u8]) -> Result<String, String> {
    let json = serde_json::from_slice::<Value>(body).ok();
    if !(200..300).contains(&status) {
        let message = json.as_ref().and_then(|json| json.pointer("/error/message")).and_then(Value::as_str);
        let message = message.map(|message| format!(" ({message})")).unwrap_or_default();
        return Err(format!("expected a decision, got status {status}{message}"));
    }
    let essence = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err("expected a decision as application/json, got another content type".to_owned());
    }
    let Some(Value::Object(answer)) = json else {
        return Err("expected a decision as a JSON object, got something else".to_owned());
    };
    let unknown = answer.keys().find(|name| !ANSWER_FIELDS.contains(&name.as_str()));
    if unknown.is_some() {
        return Err("expected the answer to a hook, got another JSON object".to_owned());
    }
    let permits = [
        answer.get("decision").is_some_and(|decision| decision != "block"),
        is_other(answer.get("hookSpecificOutput"), "/permissionDecision", &["deny", "ask"]),
        is_other(answer.get("hookSpecificOutput"), "/decision/behavior", &["deny"]),
    ];
    if permits.contains(&true) {
        return Err("expected no answer that permits anything, got one".to_owned());
    }
    Ok(Value::Object(answer).to_string())
}

fn is_other(output: Option<&Value>, path: &str, known: &[&str]) -> bool {
    let value = output.and_then(|output| output.pointer(path));
    value.is_some_and(|value| !value.as_str().is_some_and(|text| known.contains(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: Option<&str> = Some("application/json");

    #[test]
    fn only_an_answer_to_a_hook_is_an_answer() {
        let deny = r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny"}}"#;
        let asks = r#"{"hookSpecificOutput":{"permissionDecision":"ask"}}"#;
        let refuses = r#"{"hookSpecificOutput":{"decision":{"behavior":"deny","interrupt":true}}}"#;
        let stops = r#"{"continue":false,"stopReason":"halted"}"#;
        let good = [
            ("{}", "{}"),
            (" {\n}\n", "{}"),
            (deny, deny),
            (asks, asks),
            (refuses, refuses),
            (stops, stops),
            (r#"{"decision":"block","reason":"no"}"#, r#"{"decision":"block","reason":"no"}"#),
        ];
        for (body, answer) in good {
            let read = read_answer(200, Some("Application/JSON; charset=utf-8"), body.as_bytes()).expect(body);
            assert_eq!(serde_json::from_str::<Value>(&read).ok(), serde_json::from_str(answer).ok());
            assert!(!read.contains('\n'));
        }
        let bad = [
            (200, JSON, "", "a JSON object"),
            (200, JSON, "[]", "a JSON object"),
            (200, JSON, "{", "a JSON object"),
            (200, None, "{}", "content type"),
            (200, Some("text/html"), "{}", "content type"),
            (200, JSON, r#"{"status":"ok"}"#, "the answer to a hook"),
            (200, JSON, r#"{"decision":"allow","halted":false}"#, "the answer to a hook"),
            (200, JSON, r#"{"decision":"approve"}"#, "permits"),
            (200, JSON, r#"{"hookSpecificOutput":{"permissionDecision":"allow"}}"#, "permits"),
            (200, JSON, r#"{"hookSpecificOutput":{"permissionDecision":"defer"}}"#, "permits"),
            (200, JSON, r#"{"hookSpecificOutput":{"permissionDecision":null}}"#, "permits"),
            (200, JSON, r#"{"hookSpecificOutput":{"decision":{"behavior":"allow"}}}"#, "permits"),
            (302, JSON, "{}", "got status 302"),
            (503, JSON, r#"{"error":{"code":"not_ready","message":"still reading"}}"#, "status 503 (still reading)"),
            (401, None, "no", "got status 401"),
        ];
        for (status, kind, body, said) in bad {
            let why = read_answer(status, kind, body.as_bytes()).expect_err(body);
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn failures_refuse_but_never_keep_an_agent_at_work() {
        let rows = [
            ("PreToolUse", false, 2, "refused, since nothing could be checked: down there"),
            ("", false, 2, "refused, since nothing could be checked: down there"),
            ("UserPromptSubmit", false, 2, "refused, since nothing could be checked: down there"),
            ("Stop", false, 1, "nothing was checked: down there"),
            ("SubagentStop", false, 1, "nothing was checked: down there"),
            ("PreToolUse", true, 0, "warning: nothing was checked, since --fail-open is set: down there"),
            ("Stop", true, 0, "warning: nothing was checked, since --fail-open is set: down there"),
        ];
        for (hook, open, code, said) in rows {
            let expected = Outcome { code, stdout: None, stderr: Some(format!("haltline: {said}")) };
            assert_eq!(Outcome::failed(hook, "down\nthere", open), expected, "{hook}");
        }
        let long = Outcome::failed("", &"x".repeat(5_000), false).stderr.expect("a reason");
        assert!(long.len() < 400 && long.lines().count() == 1);
    }
}
