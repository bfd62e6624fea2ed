//! Rules about what one step returned and a later one sends out.
//!
//! Texts are read in every layer, with what was cut up over several calls put together; what is compared are
//! fingerprints. They are made only of events that a rule's source, sink or known part is about, and of what
//! leaves only once there is a source.

use std::ops::Range;

use super::destinations::last_name;
use super::groups::Group;
use super::masks;
use super::memory::Detector;
use super::sequences::matches;
use super::texts::in_fields;
use super::{Context, Engine, HashKey};
use crate::detect::{Flow, SinkHashes, SourceHashes};
use crate::event::{Kind, LeafValue, Leaves};
use crate::finding::{Action, Evidence, Finding};
use crate::limits::{DESTINATIONS_MAX, EXCERPT_CHARS_MAX};
use crate::rules::{FlowCheck, Glob, Rule, text_of};
use crate::text::{Layers, Printer, SinkPrints, SourcePrints, cut_codes, extract, value_hashes};

/// The tag of rules about injections.
const INJECTION_TAG: &str = "owasp.llm01";

/// What the rules have made of one event's texts, each once for all rules.
#[derive(Default)]
pub(super) struct Made {
    sent: Option<Vec<Sent>>,
    /// By the fields that were read.
    read: Vec<(Vec<Glob>, Vec<Read>)>,
}

/// One text that leaves, in one reading.
struct Sent {
    path: String,
    text: String,
    prints: SinkPrints,
    /// It stands in the field as it is.
    is_plain: bool,
}

/// One text that is remembered.
struct Read {
    text: String,
    prints: SourcePrints,
}

impl Engine {
    pub(super) fn check_flow(
        &mut self,
        (n, rule, check): (usize, &Rule, &FlowCheck),
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        made: &mut Made,
        findings: &mut Vec<Finding>,
    ) {
        let is_known = check.known.as_ref().is_some_and(|known| matches(known, context, findings));
        let is_sink = matches(&check.sink, context, findings);
        let is_source = matches(&check.source, context, findings);
        let contacts = contacts(check, context, leaves, findings, is_source);
        if !is_known && !is_sink && !is_source && contacts.is_empty() {
            return;
        }
        for group in Group::counted(&check.group_by, context, leaves) {
            self.learn_contacts((n, rule, check), &group, context, &contacts);
            if is_sink {
                self.check_sink((n, rule, check), &group, context, leaves, made, findings);
            }
            if is_known {
                let fields = check.known.as_ref().map(|known| known.fields.as_slice()).unwrap_or_default();
                let read = self.read(made, leaves, fields);
                self.learn((n, rule, check), &group, context, read, Learnt::Known);
            } else if is_source {
                self.mark(context);
                let read = self.read(made, leaves, &check.source.fields);
                // Whom an attacker names is not whom a record is about.
                let learnt = if is_attacked(findings) { Learnt::Attacked } else { Learnt::Source };
                self.learn((n, rule, check), &group, context, read, learnt);
            }
        }
    }

    /// Remembers whom a record is about: what goes there is no leak.
    fn learn_contacts(
        &mut self,
        (n, rule, check): (usize, &Rule, &FlowCheck),
        group: &Group,
        context: &Context<'_>,
        contacts: &[u64],
    ) {
        if contacts.is_empty() {
            return;
        }
        let (key, _) = self.key_and_owner(rule, &check.group_by, group, context);
        if let Some(Detector::Flow(flows)) = self.memory.get_mut(n) {
            flows.known(key, context.ts, SourceHashes { values: contacts, ..SourceHashes::default() });
        }
    }

    /// The texts of some fields with their fingerprints.
    fn read<'m>(&self, made: &'m mut Made, leaves: &Leaves<'_>, fields: &[Glob]) -> &'m [Read] {
        let known = made.read.iter().position(|(known, _)| known == fields);
        let number = known.unwrap_or_else(|| {
            let read = |text: String| Read { prints: self.printer.source(&text), text };
            made.read.push((fields.to_vec(), texts_of(leaves, fields).into_iter().map(read).collect()));
            made.read.len() - 1
        });
        made.read.get(number).map(|(_, read)| read.as_slice()).unwrap_or_default()
    }

    /// Remembers the texts of a source, or what is known to all.
    fn learn(
        &mut self,
        (n, rule, check): (usize, &Rule, &FlowCheck),
        group: &Group,
        context: &Context<'_>,
        read: &[Read],
        learnt: Learnt,
    ) {
        let (key, owner) = self.key_and_owner(rule, &check.group_by, group, context);
        let (at, mark) = (context.ts, context.origin.offset);
        for Read { text, prints } in read {
            // What an attacker names is the evidence; whom a record names is no secret of it.
            let with_hosts = learnt != Learnt::Source;
            let mut values = value_hashes(&prints.values, with_hosts);
            if learnt != Learnt::Attacked && check.sink.outside.is_some() {
                values.extend(named_in(text).iter().map(|name| goal(name)));
            }
            let words = if check.tool_name { self.printer.words(text) } else { Vec::new() };
            let hashes = SourceHashes { prints: &prints.prints, values: &values, words: &words };
            let Some(Detector::Flow(flows)) = self.memory.get_mut(n) else { return };
            match learnt {
                Learnt::Known => flows.known(key, at, hashes),
                Learnt::Source | Learnt::Attacked => flows.source(key, owner, at, mark, hashes),
            }
        }
    }

    /// Looks up what leaves.
    fn check_sink(
        &mut self,
        (n, rule, check): (usize, &Rule, &FlowCheck),
        group: &Group,
        context: &Context<'_>,
        leaves: &Leaves<'_>,
        made: &mut Made,
        findings: &mut Vec<Finding>,
    ) {
        let (key, _) = self.key_and_owner(rule, &check.group_by, group, context);
        let Some(Detector::Flow(flows)) = self.memory.get_mut(n) else { return };
        if !flows.has_sources(key, context.ts) {
            return;
        }
        let sent = &*made.sent.get_or_insert_with(|| self.sent(context, leaves));
        let name = self.sink_name(check, context);
        let goals = goals(check, context);
        let mut found: Option<(Flow, &Sent)> = None;
        for one in sent.iter().filter(|one| in_fields(&check.sink.fields, &one.path)) {
            let with_hosts = !check.source.finding.is_empty();
            let values = value_hashes(&one.prints.values, with_hosts);
            let flow = self.sink_one((n, key), context, (&one.prints, &values), (&[], &goals));
            found = found.or(flow.map(|flow| (flow, one)));
        }
        if found.is_none()
            && !name.is_empty()
            && let Some(flow) = self.sink_one((n, key), context, (&SinkPrints::default(), &[]), (&name, &goals))
        {
            let evidence = self.name_evidence(context, &flow);
            findings.push(self.finding(rule, context, evidence, None));
            return;
        }
        if let Some((flow, one)) = found {
            let evidence = self.flow_evidence(check, context, &flow, one);
            findings.push(self.finding(rule, context, evidence, None));
        }
    }

    fn sink_one(
        &mut self,
        (n, key): (usize, u128),
        context: &Context<'_>,
        (prints, values): (&SinkPrints, &[u64]),
        (name, goals): (&[u32], &[u64]),
    ) -> Option<Flow> {
        let hashes = SinkHashes { prints: &prints.prints, values, name, goals };
        match self.memory.get_mut(n) {
            Some(Detector::Flow(flows)) => flows.sink(key, context.ts, context.origin.offset, hashes),
            _ => None,
        }
    }

    fn sink_name(&self, check: &FlowCheck, context: &Context<'_>) -> Vec<u32> {
        let tool = context.event.tool.as_ref().filter(|_| check.tool_name);
        tool.map(|tool| self.printer.name(&tool.name)).unwrap_or_default()
    }

    /// Every text of an event that may carry something out, in every reading: as it stands, decoded, and put
    /// together with what left by the same way before.
    fn sent(&mut self, context: &Context<'_>, leaves: &Leaves<'_>) -> Vec<Sent> {
        let tool = context.event.tool.as_ref().map(|tool| tool.name.as_ref()).unwrap_or_default();
        let (mut sent, mut whole, mut root) = (Vec::new(), String::new(), "");
        for leaf in leaves.iter().filter(|leaf| !matches!(leaf.value, LeafValue::Bool(_))) {
            let (path, text) = (leaf.path, text_of(leaf.value));
            root = path.split('.').next().unwrap_or_default();
            let way = HashKey::COMMON.short(format!("{tool}\u{0}{path}").as_bytes());
            let joined = self.join(context, way, &text);
            let mut push = |text: String, is_plain| {
                let prints = self.printer.sink(&text);
                sent.push(Sent { path: path.to_owned(), text, prints, is_plain });
            };
            decoded(&text, &mut |text| push(text, false));
            for joined in joined {
                decoded(&joined, &mut |text| push(text, false));
                push(joined, false);
            }
            add_line(&mut whole, &text);
            // A text that was trimmed has other offsets than the field.
            let is_plain = matches!(leaf.value, LeafValue::Text(whole) if whole.len() == text.len());
            push(text, is_plain);
        }
        let prints = self.printer.sink(&whole);
        sent.push(Sent { path: root.to_owned(), text: whole, prints, is_plain: false });
        sent
    }

    fn join(&mut self, context: &Context<'_>, way: u32, text: &str) -> Vec<String> {
        let session = self.sessions.get_mut(context.session_key);
        session.map(|session| session.sent.get_or_insert_default().join(way, text)).unwrap_or_default()
    }

    fn flow_evidence(&self, check: &FlowCheck, context: &Context<'_>, flow: &Flow, one: &Sent) -> Evidence {
        let prints = &one.prints;
        let values: Vec<Range<usize>> =
            flow.values.iter().filter_map(|n| prints.values.get(*n)).map(|value| value.range.clone()).collect();
        let span = values.first().cloned().or_else(|| prints.passage(&one.text, &flow.prints));
        let source = self.place(context, flow.source_mark);
        let path = &one.path;
        let how_much = match (flow.values_left, flow.chars) {
            (0, chars) => format!("about {chars} characters"),
            (1, 0) => "a value".to_owned(),
            (values, 0) => format!("{values} values"),
            (values, chars) => format!("{values} values and about {chars} characters"),
        };
        let inside = check.sink.outside.as_ref();
        let goal = inside.and_then(|inside| context.destinations.outside(inside, context.event));
        let goal = goal.map(|name| format!(", on its way to {name}")).unwrap_or_default();
        let secrets = masks::secrets_of(&self.program.scanner, &Layers::of(&one.text));
        let excerpt = span.as_ref().map(|span| masks::excerpt(&one.text, span, &secrets, EXCERPT_CHARS_MAX));
        Evidence {
            summary: format!("`{path}` carries {how_much} of what came in {source}{goal}"),
            field: Some(path.clone()),
            mark: excerpt.as_ref().map(|(_, mark)| *mark),
            excerpt: excerpt.map(|(shown, _)| shown),
            span: span.filter(|_| one.is_plain).map(|span| (span.start, span.end)),
            ..Evidence::default()
        }
    }

    fn name_evidence(&self, context: &Context<'_>, flow: &Flow) -> Evidence {
        let tool = context.event.tool.as_ref().map(|tool| tool.name.as_ref()).unwrap_or_default();
        let source = self.place(context, flow.source_mark);
        let words = flow.name.len();
        let summary = format!("`{tool}` was called, and {words} words of its name come from {source}");
        Evidence { summary, ..Evidence::default() }
    }
}

/// As what a text is remembered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Learnt {
    Source,
    /// A source that an attacker has written into.
    Attacked,
    Known,
}

/// Whether a rule about injections has found something in an event.
fn is_attacked(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.action >= Action::Flag && finding.tags.iter().any(|tag| tag == INJECTION_TAG))
}

/// Whom a record is about: the addresses that stand alone in fields named after mail, in what a source returned or in
/// what it was asked for. Addresses in running text are not among them, since anyone may have written that.
fn contacts(
    check: &FlowCheck,
    context: &Context<'_>,
    leaves: &Leaves<'_>,
    findings: &[Finding],
    is_source: bool,
) -> Vec<u64> {
    let event = context.event;
    let is_asked = event.kind == Kind::ToolCall && check.source.when.names_tool(event, context.hints);
    if check.sink.outside.is_none() || !(is_source || is_asked) || is_attacked(findings) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut take = |path: &str, text: &str| {
        let text = text.trim();
        let is_alone = last_name(path).contains("mail")
            && extract::recipients(text).iter().any(|one| one.range == (0..text.len()));
        found.extend(is_alone.then(|| goal(text)));
    };
    for leaf in leaves.iter() {
        let LeafValue::Text(text) = leaf.value else { continue };
        take(leaf.path, text);
        let inner = Leaves::of_json(leaf.path, text);
        let inner = inner.iter().flat_map(|inner| inner.iter());
        inner.for_each(|one| take(one.path, &text_of(one.value)));
    }
    found
}

/// Everyone outside whom an event goes to.
fn goals(check: &FlowCheck, context: &Context<'_>) -> Vec<u64> {
    let Some(inside) = &check.sink.outside else { return Vec::new() };
    context.destinations.all_outside(inside, context.event).into_iter().map(goal).collect()
}

/// Whom a text names.
fn named_in(text: &str) -> Vec<String> {
    let hosts = extract::hosts(text).into_iter().map(|host| host.name);
    hosts.chain(extract::recipients(text).into_iter().map(|one| one.address)).take(DESTINATIONS_MAX).collect()
}

/// A goal as a value: none that stands in a text is the same.
fn goal(name: &str) -> u64 {
    HashKey::COMMON.long(format!("goal\u{0}{}", name.to_lowercase()).as_bytes())
}

/// The fingerprints of all engines.
pub(super) fn printer() -> Printer {
    Printer::new(HashKey::COMMON.0)
}

/// The texts of an event in some fields: what they say together, since a record is a list of small values, and
/// what they say decoded.
fn texts_of(leaves: &Leaves<'_>, fields: &[Glob]) -> Vec<String> {
    let (mut plain, mut hidden) = (String::new(), String::new());
    for leaf in leaves.iter().filter(|leaf| in_fields(fields, leaf.path)) {
        let text = text_of(leaf.value);
        decoded(&text, &mut |text| add_line(&mut hidden, &text));
        add_line(&mut plain, &text);
    }
    [plain, hidden].into_iter().filter(|text| !text.is_empty()).collect()
}

fn add_line(to: &mut String, line: &str) {
    to.push_str(line);
    to.push('\n');
}

/// What a text says when it is decoded.
fn decoded(text: &str, take: &mut impl FnMut(String)) {
    let layers = Layers::of(text);
    layers.iter().skip(1).for_each(|layer| take(layer.text().to_owned()));
    for piece in cut_codes(text) {
        Layers::of(&piece).iter().skip(1).for_each(|layer| take(layer.text().to_owned()));
        take(piece);
    }
}
