//! Commands that run other commands, and commands that are told by their options.

use super::shell_expand::base;
use super::shell_words::Word;

/// A command that runs the command behind its own options.
pub(super) struct Wrapper {
    pub name: &'static str,
    /// Options of one letter that have a value.
    letters: &'static str,
    /// Long options that have a value, between spaces.
    long: &'static str,
    /// Words before the command that are no options.
    operands: usize,
    /// Whether a shell reads what it runs.
    pub shell: bool,
}

const fn wrapper(name: &'static str, letters: &'static str, long: &'static str, operands: usize) -> Wrapper {
    Wrapper { name, letters, long, operands, shell: false }
}

const fn shell(name: &'static str, letters: &'static str, long: &'static str, operands: usize) -> Wrapper {
    Wrapper { name, letters, long, operands, shell: true }
}

/// The commands that run others, by their names.
#[rustfmt::skip]
const WRAPPERS: [Wrapper; 59] = [
    wrapper("arch", "", "", 0), wrapper("builtin", "", "", 0), wrapper("bunx", "", "", 0),
    wrapper("busybox", "", "", 0), wrapper("caffeinate", "tw", "", 0), wrapper("chroot", "", "userspec groups", 1),
    wrapper("chrt", "DPT", "", 1), wrapper("command", "", "", 0), wrapper("cpulimit", "lpe", "", 0),
    wrapper("dbus-run-session", "", "", 0), wrapper("doas", "aCu", "", 0), wrapper("eatmydata", "", "", 0),
    wrapper("env", "CSu", "chdir split-string unset", 0), wrapper("exec", "a", "", 0),
    wrapper("fakeroot", "bls", "", 0), wrapper("firejail", "", "", 0), wrapper("flock", "Ew", "timeout wait", 1),
    wrapper("gosu", "", "", 1), wrapper("ionice", "cnPpu", "class classdata pid", 0), wrapper("linux32", "", "", 0),
    wrapper("linux64", "", "", 0), wrapper("ltrace", "aeFlnopsuxX", "", 0), wrapper("nice", "n", "adjustment", 0),
    wrapper("nocache", "", "", 0), wrapper("noglob", "", "", 0), wrapper("nohup", "", "", 0),
    wrapper("npx", "cp", "package call", 0), wrapper("nsenter", "GSt", "setgid setuid target", 0),
    shell("parallel", "IjNnL", "jobs max-args", 0), wrapper("pkexec", "", "user", 0), wrapper("pnpx", "", "", 0),
    wrapper("prlimit", "p", "pid", 0), wrapper("proxychains", "f", "", 0), wrapper("proxychains4", "f", "", 0),
    wrapper("rlwrap", "", "", 0), wrapper("runuser", "gGu", "group supp-group user", 0), wrapper("setarch", "", "", 1),
    wrapper("setpriv", "", "", 0), wrapper("setsid", "", "", 0), wrapper("setuidgid", "", "", 1),
    shell("ssh", "BbcDEeFIiJLlmOopPQRSWw", "", 1), wrapper("sshpass", "dfPp", "", 0),
    wrapper("stdbuf", "eio", "error input output", 0), wrapper("strace", "abEeIkOoPpSsUuX", "", 0),
    wrapper("su-exec", "", "", 1),
    wrapper("sudo", "aCcDghpRrTtUu", "chdir chroot close-from group host other-user prompt role type user", 0),
    wrapper("systemd-run", "EHMpu", "description gid host machine property setenv slice uid unit", 0),
    wrapper("taskset", "", "", 1), wrapper("time", "fo", "format output", 0),
    wrapper("timeout", "ks", "kill-after signal", 1), wrapper("torify", "", "", 0), wrapper("torsocks", "", "", 0),
    wrapper("toybox", "", "", 0), wrapper("unbuffer", "", "", 0), wrapper("unshare", "GRSw", "root wd", 0),
    wrapper("uvx", "", "from python with", 0), shell("watch", "n", "interval", 0),
    wrapper("xargs", "adEILnPRSs", "arg-file delimiter max-args max-chars max-procs process-slot-var", 0),
    wrapper("xvfb-run", "efnps", "", 0),
];

/// Two words that run the command behind them, and the letters of their options that have a value, and the words
/// before the command.
const PAIRED_WRAPPERS: [(&str, &str, &str, usize); 11] = [
    ("bundle", "exec", "", 0),
    ("docker", "exec", "euw", 1),
    ("lxc", "exec", "", 1),
    ("nerdctl", "exec", "euw", 1),
    ("npm", "exec", "", 0),
    ("pipenv", "run", "", 0),
    ("pnpm", "exec", "", 0),
    ("podman", "exec", "euw", 1),
    ("poetry", "run", "", 0),
    ("uv", "run", "p", 0),
    ("yarn", "exec", "", 0),
];

/// The command that runs others, if it is one.
pub(super) fn find_wrapper(name: &str) -> Option<&'static Wrapper> {
    let at = WRAPPERS.binary_search_by_key(&name, |wrapper| wrapper.name).ok()?;
    WRAPPERS.get(at)
}

impl Wrapper {
    /// Where the command stands that it runs, among the words behind its name.
    pub(super) fn command(&self, words: &[Word]) -> usize {
        operand(words, self.letters, self.long, self.operands)
    }
}

/// Where the command stands that a command of two words runs.
pub(super) fn paired(name: &str, words: &[Word]) -> Option<usize> {
    let second = words.first()?;
    let (_, _, letters, operands) = PAIRED_WRAPPERS.iter().find(|pair| pair.0 == name && pair.1 == second.text)?;
    Some(1 + operand(words.get(1..)?, letters, "env env-file user workdir", *operands))
}

/// Where the first word stands behind options and so many operands; assignments count as options.
fn operand(words: &[Word], letters: &str, long: &str, operands: usize) -> usize {
    let (mut at, mut left) = (0, operands);
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        at += 1;
        if text == "--" {
            return (at + left).min(words.len());
        }
        if let Some(name) = text.strip_prefix("--") {
            at += usize::from(long.split(' ').any(|known| known == name));
        } else if let Some(cluster) = text.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            // The value is the next word where the letter is the last one.
            let valued = cluster.find(|letter| letters.contains(letter));
            at += usize::from(valued == cluster.char_indices().last().map(|(last, _)| last) && valued.is_some());
        } else if super::shell_expand::assignment(text).is_none() {
            if left == 0 {
                return at - 1;
            }
            left -= 1;
        }
    }
    words.len()
}

/// A command that its options make dangerous.
struct Pair {
    shown: &'static str,
    command: &'static str,
    /// The word behind the command, if it has to be one.
    second: &'static str,
    /// Options that all have to be there: letters, and long names between spaces.
    options: &'static [(&'static str, &'static str)],
}

#[rustfmt::skip]
const PAIRS: [Pair; 24] = [
    Pair { shown: "chmod -R", command: "chmod", second: "", options: &[("R", "recursive")] },
    Pair { shown: "chown -R", command: "chown", second: "", options: &[("R", "recursive")] },
    Pair { shown: "docker rm --force", command: "docker", second: "rm", options: &[("f", "force")] },
    Pair { shown: "docker run --privileged", command: "docker", second: "run", options: &[("", "privileged")] },
    Pair { shown: "docker system prune", command: "docker", second: "system", options: &[("af", "all force")] },
    Pair { shown: "docker volume rm", command: "docker", second: "volume", options: &[] },
    Pair { shown: "gh repo delete", command: "gh", second: "repo", options: &[("", "yes confirm")] },
    Pair { shown: "git branch -D", command: "git", second: "branch", options: &[("D", "")] },
    Pair { shown: "git branch -D", command: "git", second: "branch", options: &[("d", "delete"), ("f", "force")] },
    Pair { shown: "git checkout --force", command: "git", second: "checkout", options: &[("f", "force")] },
    Pair { shown: "git clean --force", command: "git", second: "clean", options: &[("f", "force")] },
    Pair { shown: "git commit --no-verify", command: "git", second: "commit", options: &[("n", "no-verify")] },
    Pair { shown: "git push --delete", command: "git", second: "push", options: &[("d", "delete prune")] },
    Pair { shown: "git push --force", command: "git", second: "push", options: &[("f", "force force-with-lease mirror")] },
    Pair { shown: "git push --no-verify", command: "git", second: "push", options: &[("", "no-verify")] },
    Pair { shown: "git reset --hard", command: "git", second: "reset", options: &[("", "hard")] },
    Pair { shown: "helm uninstall", command: "helm", second: "uninstall", options: &[] },
    Pair { shown: "kubectl delete", command: "kubectl", second: "delete", options: &[] },
    Pair { shown: "npm publish", command: "npm", second: "publish", options: &[] },
    Pair { shown: "rm -rf", command: "rm", second: "", options: &[("rR", "recursive"), ("f", "force")] },
    Pair { shown: "terraform apply", command: "terraform", second: "apply", options: &[("", "auto-approve")] },
    Pair { shown: "terraform destroy", command: "terraform", second: "destroy", options: &[] },
    Pair { shown: "truncate --size", command: "truncate", second: "", options: &[("s", "size")] },
    Pair { shown: "twine upload", command: "twine", second: "upload", options: &[] },
];

/// Options before the second word that have a value.
const VALUED_BEFORE: [&str; 14] = [
    "--as",
    "--context",
    "--exec-path",
    "--git-dir",
    "--kubeconfig",
    "--namespace",
    "--work-tree",
    "-C",
    "-H",
    "-c",
    "-n",
    "-p",
    "-s",
    "-u",
];

/// The combined words of a command and its options.
pub(super) fn pairs(name: &str, words: &[Word], found: &mut impl FnMut(&str)) {
    let known = PAIRS.iter().filter(|pair| pair.command == name);
    let mut before = 0;
    for pair in known {
        if before == 0 {
            before = 1 + second(words);
        }
        let from = if pair.second.is_empty() { 0 } else { before };
        let named = pair.second.is_empty() || words.get(from - 1).is_some_and(|word| word.text == pair.second);
        let options = words.get(from..).unwrap_or_default();
        if named && pair.options.iter().all(|(letters, long)| has_option(options, letters, long)) {
            found(pair.shown);
        }
    }
    others(name, words, before, found);
}

/// Where the first word stands that is no option.
fn second(words: &[Word]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.text.starts_with('-')) {
        at += 1 + usize::from(VALUED_BEFORE.contains(&word.text.as_str()));
    }
    at
}

/// What is told by other words than options.
fn others(name: &str, words: &[Word], before: usize, found: &mut impl FnMut(&str)) {
    let has = |test: &dyn Fn(&str) -> bool| words.iter().any(|word| test(&word.text));
    let second = before.checked_sub(1).and_then(|at| words.get(at)).map_or("", |word| word.text.as_str());
    match (name, second) {
        ("git", "push") => {
            let places = words.get(before..).unwrap_or_default().iter().map(|word| word.text.as_str());
            for place in places.filter(|place| place.len() > 1) {
                if place.starts_with('+') {
                    found("git push --force");
                } else if place.starts_with(':') {
                    found("git push --delete");
                }
            }
        }
        ("chmod", _) if has(&is_open_mode) => found("chmod 777"),
        ("dd", _) if has(&|text| text.starts_with("of=/dev/") && text != "of=/dev/null") => found("dd of=/dev"),
        ("find", _) if has(&|text| text == "-delete") => found("find -delete"),
        ("aws", _) if has(&|text| text == "s3") && has(&|text| matches!(text, "rb" | "rm")) => found("aws s3 rm"),
        _ => {}
    }
}

/// Whether a mode lets everybody write.
fn is_open_mode(text: &str) -> bool {
    let octal = text.len() >= 3 && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let last = text.bytes().next_back().unwrap_or(b'0') & 0b010 != 0;
    let (who, what) = text.split_once(['+', '=']).unwrap_or(("-", ""));
    let all = who.is_empty() || who.contains(['a', 'o']);
    (octal && last) || (all && what.contains('w') && who.chars().all(|char| "ugoa".contains(char)))
}

/// Whether an option is there: as a letter of a cluster or as the beginning of its long name, as far as
/// there is no `--` before it.
fn has_option(words: &[Word], letters: &str, long: &str) -> bool {
    let is_long = |name: &str| {
        let name = name.split('=').next().unwrap_or(name);
        !name.is_empty() && long.split(' ').any(|known| known.starts_with(name) && !known.is_empty())
    };
    words.iter().take_while(|word| word.text != "--").any(|word| {
        let text = word.text.as_str();
        match text.strip_prefix("--") {
            Some(name) => is_long(name),
            None => text.strip_prefix('-').is_some_and(|cluster| {
                cluster.contains(|char| letters.contains(char)) || (cluster.len() > 3 && is_long(cluster))
            }),
        }
    })
}

/// Commands that are looked for where a name has wildcards.
#[rustfmt::skip]
const NOTABLE: [&str; 40] = [
    "bash", "cat", "chmod", "chown", "cp", "crontab", "curl", "dd", "docker", "env", "find", "git", "head", "kill",
    "kubectl", "ln", "ls", "mkfs", "mv", "nc", "ncat", "node", "perl", "php", "python", "python3", "reboot", "rm", "ruby",
    "scp", "sh", "shred", "shutdown", "ssh", "su", "sudo", "tail", "tee", "wget", "zsh",
];

/// Longest name with wildcards that is compared.
const PATTERN_BYTES_MAX: usize = 64;

/// The notable commands that a name with wildcards may stand for.
pub(super) fn expanded(name: &str) -> Vec<&'static str> {
    let pattern = base(name);
    if pattern.len() > PATTERN_BYTES_MAX || pattern == "*" {
        return Vec::new();
    }
    NOTABLE.into_iter().filter(|command| matches(pattern.as_bytes(), command.as_bytes())).collect()
}

/// Whether a shell's pattern matches a short name.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|skip| name.get(skip..).is_some_and(|name| matches(rest, name))),
        [b'?', rest @ ..] => name.split_first().is_some_and(|(_, name)| matches(rest, name)),
        [b'[', rest @ ..] => {
            let Some(close) = rest.iter().skip(1).position(|byte| *byte == b']').map(|at| at + 1) else { return false };
            let (set, rest) = (rest.get(..close).unwrap_or_default(), rest.get(close + 1..).unwrap_or_default());
            name.split_first().is_some_and(|(first, name)| in_set(set, *first) && matches(rest, name))
        }
        [byte, rest @ ..] => name.split_first().is_some_and(|(first, name)| first == byte && matches(rest, name)),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let (negated, set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let range = set.windows(3).any(|range| matches!(range, [from, b'-', to] if (*from..=*to).contains(&byte)));
    (range || set.contains(&byte)) != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sorted() {
        assert!(WRAPPERS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn wildcards_stand_for_commands() {
        assert_eq!(expanded("/bin/r?"), ["rm"]);
        assert_eq!(expanded("/???/c[a]t"), ["cat"]);
        assert_eq!(expanded("[p-r]m"), ["rm"]);
        assert_eq!(expanded("*ash"), ["bash"]);
        assert!(expanded("*").is_empty() && expanded("x*").is_empty());
        assert!(expanded(&"*a".repeat(30)).is_empty());
    }

    #[test]
    fn modes_that_let_everybody_write_are_known() {
        for mode in ["777", "0777", "666", "a+w", "o+rw", "+w", "ugo=rwx", "a=rwx"] {
            assert!(is_open_mode(mode), "{mode}");
        }
        for mode in ["755", "644", "u+w", "g+w", "+x", "x.txt", "-R"] {
            assert!(!is_open_mode(mode), "{mode}");
        }
    }
}
