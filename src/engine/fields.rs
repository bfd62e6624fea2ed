//! The fields of an event that rules name by path, those of its content and those around it.

use std::borrow::Cow;

use crate::event::{Event, LeafValue, Leaves};
use crate::rules::{Glob, number_of, text_of};

/// What is around the content: the tool's name, labels, what the step cost.
fn around<'e>(event: &'e Event<'_>) -> Vec<(Cow<'static, str>, LeafValue<'e>)> {
    let text = |text: &'e str| LeafValue::Text(Cow::Borrowed(text));
    let mut fields = Vec::new();
    if let Some(tool) = &event.tool {
        fields.push((Cow::Borrowed("tool.name"), text(&tool.name)));
        fields.extend(tool.server.as_deref().map(|server| (Cow::Borrowed("tool.server"), text(server))));
    }
    if let Some(usage) = event.usage {
        #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
        let tokens = |count: Option<u64>| count.map(|count| LeafValue::Number(count as f64));
        fields.extend(tokens(usage.tokens_in).map(|value| (Cow::Borrowed("usage.in"), value)));
        fields.extend(tokens(usage.tokens_out).map(|value| (Cow::Borrowed("usage.out"), value)));
        fields.extend(usage.cost_usd.map(|cost| (Cow::Borrowed("usage.cost_usd"), LeafValue::Number(cost))));
    }
    fields.extend(event.labels.iter().map(|(name, value)| (Cow::Owned(format!("labels.{name}")), text(value))));
    fields
}

/// Whether some rule of these fields is about what is around the content.
fn names_around(globs: &[Glob]) -> bool {
    const ROOTS: [&str; 3] = ["tool", "usage", "labels"];
    globs.iter().any(|glob| ROOTS.iter().any(|root| glob.as_str().starts_with(root)))
}

/// Calls `take` with each field that these globs cover, until it has what it wants.
pub(super) fn find<T>(
    event: &Event<'_>,
    leaves: &Leaves<'_>,
    globs: &[Glob],
    mut take: impl FnMut(&str, &LeafValue<'_>) -> Option<T>,
) -> Option<T> {
    let covered = |path: &str| globs.iter().any(|glob| glob.covers(path));
    let found = leaves.iter().filter(|leaf| covered(leaf.path)).find_map(|leaf| take(leaf.path, leaf.value));
    if found.is_some() || !names_around(globs) {
        return found;
    }
    around(event).iter().filter(|(path, _)| covered(path)).find_map(|(path, value)| take(path, value))
}

/// The first number that these globs cover.
pub(super) fn number(event: &Event<'_>, leaves: &Leaves<'_>, globs: &[Glob]) -> Option<f64> {
    find(event, leaves, globs, |_, value| number_of(value))
}

/// The value at exactly this path, as text.
pub(super) fn text_at(event: &Event<'_>, leaves: &Leaves<'_>, path: &str) -> Option<String> {
    if let Some(label) = path.strip_prefix("labels.") {
        return event.labels.iter().find(|(name, _)| name == label).map(|(_, value)| value.to_string());
    }
    leaves.get(path).map(text_of)
}

/// Every value that these globs cover, also in JSON that stands in a string, as many tools answer.
pub(super) fn each(event: &Event<'_>, leaves: &Leaves<'_>, globs: &[Glob], mut take: impl FnMut(&str)) {
    let covered = |path: &str| globs.iter().any(|glob| glob.covers(path));
    let _: Option<()> = find(event, leaves, globs, |_, value| {
        take(&text_of(value));
        None
    });
    for leaf in leaves.iter() {
        let LeafValue::Text(text) = leaf.value else { continue };
        let Some(inner) = Leaves::of_json(leaf.path, text) else { continue };
        inner.iter().filter(|inner| covered(inner.path)).for_each(|inner| take(&text_of(inner.value)));
    }
}
