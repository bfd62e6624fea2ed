//! The commands that a POSIX shell would run for a text.
//!
//! The words come from `shell_words`; here they are followed through what runs other commands: `sudo`, `xargs`,
//! `find -exec`, `sh -c`, `eval`, a pipe into a shell. What other programs run by themselves (`python -c`, `make`,
//! `awk`) is not looked into: their names stand for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::shell_expand::{FETCHING, SHELLS, Variables, assignment, base, output};
use super::shell_pairs::{expanded, find_wrapper, paired, pairs};
use super::shell_words::{Command, Word, parse};

/// How deep texts are read that commands run.
const NESTING_MAX: usize = 8;

/// Most bytes that are read of such texts, as a multiple of the text's length.
const GROWTH_MAX: usize = 16;

/// How many commands within commands are followed, as in `find -exec find -exec`.
const WITHIN_MAX: usize = 32;

/// Stands for a command that only the shell knows.
const UNKNOWN: &str = "$()";

/// Stands for what is downloaded and run.
const FETCHED: &str = "curl | sh";

/// Programs that run what is piped into them, besides shells.
const INTERPRETERS: [&str; 9] = ["bun", "deno", "node", "perl", "php", "python", "python2", "python3", "ruby"];

/// Programs that run the text behind `-c`.
const RUN_TEXT: [&str; 5] = ["flock", "runuser", "script", "sg", "su"];

/// How far behind such a program its `-c` is looked for, in words.
const NEAR: usize = 16;

/// Programs that undo an encoding.
const DECODING: [&str; 11] =
    ["base32", "base64", "basenc", "gunzip", "gzip", "openssl", "rev", "tr", "uudecode", "xxd", "zcat"];

/// Variables whose value is a command to somebody.
#[rustfmt::skip]
const COMMAND_VARIABLES: [&str; 14] = [
    "EDITOR", "GIT_ASKPASS", "GIT_EDITOR", "GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_PROXY_COMMAND", "GIT_SEQUENCE_EDITOR",
    "GIT_SSH", "GIT_SSH_COMMAND", "LESSOPEN", "MANPAGER", "PAGER", "PROMPT_COMMAND", "VISUAL",
];

/// What stands before a command in an argument.
const COMMAND_ARGUMENTS: [&str; 9] = [
    "--checkpoint-action=exec=",
    "--rsh=",
    "--to-command=",
    "--upload-pack=",
    "--use-compress-program=",
    "ProxyCommand=",
    "core.fsmonitor=",
    "core.pager=",
    "core.sshCommand=",
];

/// The commands that a POSIX shell would run for a text, by the last part of their path, each once. Commands
/// that run others (`sudo`, `xargs`) are there together with these, and combined words such as `rm -rf`,
/// `git push --force` or `curl | sh` stand beside the commands. A command that is made up at run time is `$()`, one in
/// an unknown variable `$name`. Linear in the text.
///
/// ```
/// use haltline::text::extract::shell_commands;
/// assert_eq!(shell_commands("X=1 sudo -u root r\\m -r --force / | tee x"), ["sudo", "rm", "rm -rf", "tee"]);
/// assert_eq!(shell_commands("bash -c \"$'\\x72m' x\""), ["bash", "rm"]);
/// ```
#[must_use]
pub fn shell_commands(text: &str) -> Vec<String> {
    let mut reading = Reading { budget: text.len().saturating_mul(GROWTH_MAX), ..Reading::default() };
    let mut variables = Variables::default();
    reading.queue.push_back(Text { text: text.to_owned(), depth: 0, document: false });
    while let Some(next) = reading.queue.pop_front() {
        reading.depth = next.depth;
        reading.pipes.clear();
        let parsed = parse(&next.text, next.document, &mut variables);
        for command in &parsed.commands {
            reading.command(command);
        }
        for document in parsed.documents {
            reading.later(&document.text, !document.run);
        }
    }
    reading.found
}

/// A text to read.
struct Text {
    text: String,
    /// How many commands it was taken out of.
    depth: usize,
    /// Whether only its substitutions are run.
    document: bool,
}

/// What is known of the commands whose output a command reads.
#[derive(Clone, Debug, Default)]
struct Pipe {
    /// What they write.
    text: Option<Rc<str>>,
    fetches: bool,
    decodes: bool,
}

/// What is around the words of a command.
#[derive(Clone, Copy)]
struct Around<'c> {
    command: &'c Command,
    before: &'c Pipe,
    /// How many commands it stands in.
    level: usize,
}

#[derive(Default)]
struct Reading {
    found: Vec<String>,
    known: BTreeSet<String>,
    queue: VecDeque<Text>,
    depth: usize,
    /// Bytes that may yet be read of texts that commands run.
    budget: usize,
    /// By the depth of frames.
    pipes: BTreeMap<usize, Pipe>,
}

impl Reading {
    fn add(&mut self, name: &str) {
        if !name.is_empty() && self.known.insert(name.to_owned()) {
            self.found.push(name.to_owned());
        }
    }

    /// Reads a text after this one.
    fn later(&mut self, text: &str, document: bool) {
        match self.budget.checked_sub(text.len()).filter(|_| self.depth < NESTING_MAX) {
            Some(left) => {
                self.budget = left;
                self.queue.push_back(Text { text: text.to_owned(), depth: self.depth + 1, document });
            }
            None => self.add(UNKNOWN),
        }
    }

    fn command(&mut self, command: &Command) {
        let depth = command.depth;
        if command.words.is_empty() && command.input.is_empty() {
            // A group has written what its last command has.
            let inner = self.pipes.remove(&(depth + 1)).unwrap_or_default();
            self.pipes.insert(depth, inner);
            return;
        }
        let before = self.pipes.remove(&depth).filter(|_| command.piped).unwrap_or_default();
        let text = output(&command.words).map(Rc::from).or_else(|| before.text.clone());
        let mut after = Pipe { text, ..before.clone() };
        let mut within = vec![(command.words.as_slice(), 0)];
        while let Some((words, level)) = within.pop() {
            if level > WITHIN_MAX {
                self.add(UNKNOWN);
                continue;
            }
            self.hidden(words);
            let mut rest = words;
            while let Some((first, arguments)) = rest.split_first() {
                rest = self.step(first, arguments, Around { command, before: &before, level }, &mut within, &mut after);
            }
        }
        self.pipes.insert(depth, after);
    }

    /// Reads the first word of a command; returns the words of the command that it runs in turn.
    fn step<'w>(
        &mut self,
        first: &'w Word,
        arguments: &'w [Word],
        around: Around<'_>,
        within: &mut Vec<(&'w [Word], usize)>,
        after: &mut Pipe,
    ) -> &'w [Word] {
        if let Some((name, value)) = assignment(&first.text) {
            if COMMAND_VARIABLES.contains(&name) {
                self.later(value, false);
            }
            return arguments;
        }
        let names = self.names(first);
        if first.fetched {
            self.add(FETCHED);
        }
        if first.empty.as_ref().is_some_and(String::is_empty) {
            // It may be nothing, and the next word the command.
            return arguments;
        }
        for name in &names {
            pairs(name, arguments, &mut |pair| self.add(pair));
        }
        let runs =
            |name: &&str| find_wrapper(name).is_some() || SHELLS.contains(name) || matches!(*name, "eval" | "find");
        let name = names.iter().copied().find(runs).or_else(|| names.last().copied()).unwrap_or_default();
        after.fetches |= names.iter().any(|name| FETCHING.contains(name));
        after.decodes |= names.iter().any(|name| DECODING.contains(name));
        if let Some(rest) = self.wrapped(name, arguments) {
            return rest;
        }
        match name {
            "find" | "fd" => found_files(arguments, around.level, within),
            "kubectl" | "oc" | "docker" | "podman" => within.push((inside(arguments), around.level + 1)),
            _ => self.runs(name, arguments, around),
        }
        &[]
    }

    /// The words of the command that another runs, none where it runs a text; `None` where it runs none.
    fn wrapped<'w>(&mut self, name: &str, arguments: &'w [Word]) -> Option<&'w [Word]> {
        if RUN_TEXT.contains(&name) && arguments.iter().take(NEAR).any(is_text_option) {
            if let Some(text) = arguments.iter().skip_while(|word| !is_text_option(word)).nth(1) {
                self.later(&text.text, false);
            }
            return Some(&[]);
        }
        if let Some(at) = paired(name, arguments) {
            return arguments.get(at..);
        }
        let wrapper = find_wrapper(name)?;
        let asks = name == "command" && arguments.first().is_some_and(|word| word.text.eq_ignore_ascii_case("-v"));
        if asks || self.split_string(name, arguments) {
            return Some(&[]);
        }
        let rest = arguments.get(wrapper.command(arguments)..)?;
        if wrapper.shell {
            self.joined(rest);
            return Some(&[]);
        }
        Some(rest)
    }

    /// Adds the names that a command's word may stand for and returns them.
    fn names<'w>(&mut self, word: &'w Word) -> Vec<&'w str> {
        let shown = base(&word.text);
        let mut names = vec![if shown == "[" { "test" } else { shown }];
        names.extend(word.empty.as_deref().map(base));
        names.extend(word.others.iter().map(|other| base(other)));
        if word.glob && shown.len() > 1 {
            names.extend(expanded(shown));
        }
        for name in &names {
            self.add(name);
        }
        names
    }

    /// Reads commands in arguments such as `-o ProxyCommand=…`.
    fn hidden(&mut self, arguments: &[Word]) {
        for text in arguments.iter().map(|word| word.text.as_str()).filter(|text| text.contains('=')) {
            let value = COMMAND_ARGUMENTS.iter().find_map(|mark| text.split_once(mark)).map(|(_, value)| value);
            let alias = text.starts_with("alias.").then(|| text.split_once("=!")).flatten().map(|(_, value)| value);
            if let Some(value) = value.or(alias) {
                self.later(value.trim_start_matches('!'), false);
            }
        }
    }

    /// Reads the words of `env -S`; false where there are none.
    fn split_string(&mut self, name: &str, arguments: &[Word]) -> bool {
        let options = arguments.iter().enumerate().take_while(|(_, word)| word.text.starts_with('-'));
        for (at, word) in options.filter(|_| name == "env") {
            let text = word.text.strip_prefix("--split-string").or_else(|| word.text.strip_prefix("-S"));
            let Some(text) = text else { continue };
            let rest = arguments.get(at + 1..).unwrap_or_default();
            let rest = rest.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
            self.later(&format!("{} {rest}", text.trim_start_matches('=')), false);
            return true;
        }
        false
    }

    /// Reads words as a shell that gets them as one text.
    fn joined(&mut self, words: &[Word]) {
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        if !text.is_empty() {
            self.later(&text, false);
        }
    }

    /// Follows a command that runs a text.
    fn runs(&mut self, name: &str, arguments: &[Word], around: Around<'_>) {
        let shell = SHELLS.contains(&name);
        match name {
            "eval" => self.joined(arguments),
            "trap" => arguments.first().map_or((), |first| self.later(&first.text, false)),
            "alias" => {
                for (_, value) in arguments.iter().filter_map(|word| word.text.split_once('=')) {
                    self.later(value, false);
                }
            }
            "." | "source" => {}
            _ if shell => self.shell(arguments, around),
            _ if INTERPRETERS.contains(&name) => {}
            _ => return,
        }
        let option = |word: &Word| word.text.starts_with('-') && !matches!(word.text.as_str(), "-c" | "-e");
        let reads = shell || (INTERPRETERS.contains(&name) && arguments.iter().all(option));
        if arguments.iter().any(|word| word.fetched) || (reads && around.before.fetches) {
            self.add(FETCHED);
        } else if reads && around.before.decodes {
            self.add("base64 | sh");
        }
    }

    /// Follows a shell: the text behind `-c`, or what it reads.
    fn shell(&mut self, arguments: &[Word], around: Around<'_>) {
        let (mut at, mut text) = (0, false);
        while let Some(option) = arguments.get(at).map(|word| word.text.as_str()) {
            let Some(cluster) = option.strip_prefix(['-', '+']) else { break };
            at += 1;
            if option == "--" || option == "-" {
                break;
            }
            if option.starts_with("--") {
                at += usize::from(matches!(option, "--rcfile" | "--init-file"));
            } else {
                text |= cluster.contains('c');
                at += usize::from(cluster.ends_with(['o', 'O']));
            }
        }
        if text {
            return arguments.get(at).map_or((), |word| self.later(&word.text, false));
        }
        for input in around.command.input.iter().map(String::as_str).chain(around.before.text.as_deref()) {
            self.later(input, false);
        }
    }
}

fn is_text_option(word: &Word) -> bool {
    matches!(word.text.as_str(), "-c" | "--command")
}

/// The commands that `find` runs.
fn found_files<'w>(arguments: &'w [Word], level: usize, within: &mut Vec<(&'w [Word], usize)>) {
    let runs = ["-exec", "-execdir", "-ok", "-okdir", "-x", "-X", "--exec", "--exec-batch"];
    let mut at = 0;
    while let Some(word) = arguments.get(at) {
        at += 1;
        if !runs.contains(&word.text.as_str()) {
            continue;
        }
        let rest = arguments.get(at..).unwrap_or_default();
        let length = rest.iter().position(|word| matches!(word.text.as_str(), ";" | "+")).unwrap_or(rest.len());
        within.push((rest.get(..length).unwrap_or_default(), level + 1));
        at += length;
    }
}

/// The command that runs in a container: behind `--`, or from a shell on.
fn inside(arguments: &[Word]) -> &[Word] {
    let words = arguments.iter().map(|word| word.text.as_str());
    let dashes = words.clone().position(|word| word == "--").map(|at| at + 1);
    let shell = words.clone().position(|word| SHELLS.contains(&base(word)));
    dashes.or(shell).and_then(|at| arguments.get(at..)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::check_rows;
    use super::*;

    fn check(rows: &[(&str, &str)]) {
        check_rows(rows, |text| shell_commands(text).join(", "));
    }

    #[test]
    fn lines_hold_commands() {
        check(&[
            ("", ""),
            ("ls -la", "ls"),
            ("ls; pwd && id || who & date | sort\nuname", "ls, pwd, id, who, date, sort, uname"),
            ("ls |& cat", "ls, cat"),
            ("ls ls ls; ls", "ls"),
            ("/usr/bin/rm x", "rm"),
            ("./run.sh", "run.sh"),
            ("A=1 B='x y' make", "make"),
            ("A=1", ""),
            ("ls # rm x", "ls"),
            ("echo a#b; # rm x\nid", "echo, id"),
            ("echo 'rm x; id'", "echo"),
            ("echo \"rm x; id\"", "echo"),
            ("ls > out 2>&1 < in; cat >> x", "ls, cat"),
            ("> out ls", "ls"),
            ("&> out ls", "ls"),
            ("2> out ls", "ls"),
            ("ls \\\n -la; i\\\nd", "ls, id"),
            ("ls \\; id", "ls"),
            ("(cd x; ls)", "cd, ls"),
            ("{ cd x; ls; }", "cd, ls"),
            ("! grep x y", "grep"),
            ("[ -f x ] && cat x", "test, cat"),
            ("[[ -f x && $a == b ]] && cat x", "cat"),
            ("[[ a && rm x ]]", "rm"),
            ("if test -f x; then cat x; else id; fi", "test, cat, id"),
            ("while read x; do rm $x; done < list", "read, rm"),
            ("for f in a b; do cat $f; done", "cat"),
            ("for c in ls rm; do $c x; done", "ls, rm"),
            ("for c in ls rm; do $c -rf x; done", "ls, rm, rm -rf"),
            ("case $x in a|b) rm x;; *) id;; esac; ls", "rm, id, ls"),
            ("case x in\n  (a) rm x\n  ;;\nesac", "rm"),
            ("f() { rm x; }; f", "rm, f"),
            ("function f { rm x; }", "rm"),
            ("a=(x y\nz); ls", "ls"),
            ("echo $((1 + 2)) $((x | y)); ((i++)); ls", "echo, ls"),
            ("((rm x) ); ls", "rm, ls"),
            ("cat <<EOF\nrm x\n$(id)\nEOF\nls", "cat, ls, id"),
            ("cat <<'EOF'\nrm x\n$(id)\nEOF\nls", "cat, ls"),
            ("cat <<-EOF > x; pwd\n\trm x\n\tEOF\nls", "cat, pwd, ls"),
            ("don't rm x", "don't"),
            ("use `rm x` please", "rm, use"),
        ]);
    }

    #[test]
    fn disguises_are_taken_off() {
        check(&[
            ("r\\m x", "rm"),
            ("'r'm x", "rm"),
            ("r\"\"m x", "rm"),
            ("\"rm\" x", "rm"),
            ("$'\\x72m' x", "rm"),
            ("$'\\162\\155' x", "rm"),
            ("$\"rm\" x", "rm"),
            ("r$@m x", "rm"),
            ("r${1}m$* x", "rm"),
            ("rm${IFS}-rf${IFS}/", "rm, rm -rf"),
            ("rm$IFS-rf$IFS/", "rm, rm -rf"),
            ("{rm,-rf,/}", "rm, rm -rf"),
            ("r{m,} x", "rm"),
            ("a=r b=m; $a$b x", "rm"),
            ("a=rm; ${a} x", "rm"),
            ("c='rm -rf /'; $c", "rm, rm -rf"),
            ("a=xxrm; ${a:2:2} x", "rm"),
            ("${x:-rm} x", "rm"),
            ("${x:-${y:-rm}} x", "rm"),
            ("\"${x:-rm}\" x", "rm"),
            ("export a=rm; $a x", "export, rm"),
            ("r${u}m x", "r$um, rm"),
            ("$u rm x", "$u, rm"),
            ("$CMD x", "$CMD, x"),
            ("$(echo rm) x", "echo, rm"),
            ("$(printf 'r%s' m) x", "printf, rm"),
            ("`echo rm` -rf /", "echo, rm, rm -rf"),
            ("$(which rm) x", "which, rm"),
            ("$(cat x) y", "cat, $(), y"),
            ("/bin/r? x", "r?, rm"),
            ("/bin/[r]m -rf /", "[r]m, rm, rm -rf"),
            ("r\0m x", "rm"),
            ("\\case x in\nrm y", "case, rm"),
        ]);
    }

    #[test]
    fn substitutions_are_run() {
        check(&[
            ("echo $(rm x)", "rm, echo"),
            ("echo \"a $(rm \"$(id)\") b\"", "id, rm, echo"),
            ("echo `rm x`", "rm, echo"),
            ("echo \"`rm x`\"", "rm, echo"),
            ("echo `rm \\`id\\``", "id, rm, echo"),
            ("echo '$(rm x)'", "echo"),
            ("a=$(rm x)", "rm"),
            ("diff <(rm x) >(id)", "rm, id, diff"),
            ("echo ${x:-$(rm x)}", "rm, echo"),
            ("echo $((1 + $(rm x)))", "rm, echo"),
            ("a=($(rm x))", "rm"),
            ("echo $(rm x", "rm, echo"),
            ("echo )rm x", "echo, rm"),
        ]);
    }

    #[test]
    fn commands_run_commands() {
        check(&[
            ("sudo rm x", "sudo, rm"),
            ("sudo -u root -E A=1 /bin/rm x", "sudo, rm"),
            ("sudo --user root rm x", "sudo, rm"),
            ("sudo -nu root -- rm x", "sudo, rm"),
            ("env -i A=1 rm x", "env, rm"),
            ("env -S 'rm -rf' /", "env, rm, rm -rf"),
            ("nohup nice -n 10 timeout -s KILL 5 rm x", "nohup, nice, timeout, rm"),
            ("time -p rm x", "time, rm"),
            ("command rm x; command -v ls", "command, rm"),
            ("exec -a z rm x", "exec, rm"),
            ("busybox rm x", "busybox, rm"),
            ("stdbuf -oL rm x", "stdbuf, rm"),
            ("ls | xargs -0 -n 1 -I {} rm {}", "ls, xargs, rm"),
            ("xargs -I{} sh -c 'rm {}'", "xargs, sh, rm"),
            ("find . -name x -exec rm {} \\; -exec id ';'", "find, id, rm"),
            ("find . -exec sh -c 'rm \"$1\"' _ {} +", "find, sh, rm"),
            ("find . -exec $(echo rm) {} +", "echo, find, rm"),
            ("find . -delete", "find, find -delete"),
            ("sh -c 'rm x; id'", "sh, rm, id"),
            ("bash -lc \"rm x\"", "bash, rm"),
            ("bash -c -e 'rm x'", "bash, rm"),
            ("bash --norc -o pipefail -c 'rm x'", "bash, rm"),
            ("/bin/sh -xec 'sh -c \"rm x\"'", "sh, rm"),
            ("bash script.sh", "bash"),
            ("eval 'rm' \"x\"", "eval, rm"),
            ("a='rm x'; eval \"$a\"", "eval, rm"),
            ("trap 'rm x' EXIT", "trap, rm"),
            ("alias ls='rm x'", "alias, rm"),
            ("su root -c 'rm x'", "su, rm"),
            ("watch -n 1 'rm x'", "watch, rm"),
            ("ssh -p 22 h 'rm x; id'", "ssh, rm, id"),
            ("ssh h rm x", "ssh, rm"),
            ("ssh -o ProxyCommand='rm x' h", "ssh, rm"),
            ("flock /tmp/x -c 'rm x'", "flock, rm"),
            ("echo 'rm x' | sh", "echo, sh, rm"),
            ("echo -e 'r\\x6d x' | sudo bash", "echo, sudo, bash, rm"),
            ("printf '%s\\n' 'rm x' | bash -s", "printf, bash, rm"),
            ("(echo 'rm x') | sh", "echo, sh, rm"),
            ("{ echo 'rm x'; } | sh", "echo, sh, rm"),
            ("sh <<< 'rm x'", "sh, rm"),
            ("sh <<EOF\nrm x\nEOF", "sh, rm"),
            ("cat <<EOF | sh\nrm x\nEOF", "cat, sh, rm"),
            ("docker exec -it -u root c rm x", "docker, rm"),
            ("docker run --rm alpine sh -c 'rm x'", "docker, sh, rm"),
            ("kubectl exec p -c d -- rm x", "kubectl, rm"),
            ("npx -y cowsay", "npx, cowsay"),
            ("uv run rm x", "uv, rm"),
            ("GIT_SSH_COMMAND='rm x' git fetch", "git, rm"),
            ("git -c alias.x='!rm x' x", "git, rm"),
            ("git -c core.pager='rm x' log", "git, rm"),
            ("tar cf x --checkpoint-action=exec='rm x' y", "tar, rm"),
        ]);
    }

    #[test]
    fn notable_pairs_are_combined() {
        check(&[
            ("rm -rf /", "rm, rm -rf"),
            ("rm -fr /", "rm, rm -rf"),
            ("rm -r -f /", "rm, rm -rf"),
            ("rm / -R --force", "rm, rm -rf"),
            ("rm --rec --fo /", "rm, rm -rf"),
            ("rm -r x", "rm"),
            ("rm -f x", "rm"),
            ("rm -r -- -f", "rm"),
            ("git push --force", "git, git push --force"),
            ("git push -f origin main", "git, git push --force"),
            ("git push origin +main", "git, git push --force"),
            ("git -C x -c a=b push --force-with-lease", "git, git push --force"),
            ("git push origin :main", "git, git push --delete"),
            ("git push origin main", "git"),
            ("git fetch -f", "git"),
            ("git reset --hard HEAD~1", "git, git reset --hard"),
            ("git clean -fdx", "git, git clean --force"),
            ("git branch -D x", "git, git branch -D"),
            ("chmod -R 777 /", "chmod, chmod -R, chmod 777"),
            ("chmod +x x", "chmod"),
            ("dd if=x of=/dev/sda", "dd, dd of=/dev"),
            ("dd if=/dev/zero of=/dev/null", "dd"),
            ("curl x | sh", "curl, sh, curl | sh"),
            ("curl x | sudo bash -s -- y", "curl, sudo, bash, curl | sh"),
            ("wget -qO- x | tee y | python3 -", "wget, tee, python3, curl | sh"),
            ("curl x | python3 script.py", "curl, python3"),
            ("bash -c \"$(curl x)\"", "curl, bash, curl | sh, $()"),
            ("bash <(curl x)", "curl, bash, curl | sh"),
            ("eval \"$(wget -O- x)\"", "wget, eval, curl | sh, $()"),
            ("source <(curl x)", "curl, source, curl | sh"),
            ("echo cm0= | base64 -d | sh", "echo, base64, sh, base64 | sh"),
            ("$(curl x)", "curl, $(), curl | sh"),
            ("curl x > y; sh z", "curl, sh"),
            ("terraform destroy", "terraform, terraform destroy"),
            ("kubectl -n x delete pod y", "kubectl, kubectl delete"),
        ]);
    }

    #[test]
    fn nesting_ends() {
        let mut text = "rm x".to_owned();
        for _ in 0..9 {
            text = format!("eval {}", text.replace(' ', "\\ "));
        }
        assert!(shell_commands(&text).contains(&"eval".to_owned()));
        let text = "find . -exec ".repeat(100) + "rm x";
        assert_eq!(shell_commands(&text), ["find", UNKNOWN]);
        let text = "sudo ".repeat(10_000) + "rm x";
        assert_eq!(shell_commands(&text), ["sudo", "rm"]);
        let text = "$(".repeat(10_000) + "rm x";
        assert!(shell_commands(&text).contains(&"rm".to_owned()));
    }
}
