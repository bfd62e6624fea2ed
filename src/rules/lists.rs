//! Named lists and settings: `@name` in a rule stands for the items of the list of that name, or for the
//! number or duration of the setting of that name.
//!
//! A list or setting in a later folder replaces one of the same name, so that an operator adjusts all rules that
//! use it in one place. Items may name other lists.

use std::collections::BTreeMap;

use toml::Spanned;

use super::diagnose::{Diagnostic, Place, closest};
use super::tables::NumberValue;

/// How deep lists may name lists.
const NESTING_MAX: usize = 8;

/// Every named list and setting.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) lists: BTreeMap<String, Vec<String>>,
    pub(super) settings: BTreeMap<String, NumberValue>,
}

impl Lists {
    /// The names with `@list`s replaced by what they hold.
    pub(super) fn expand(&self, names: &[Spanned<String>], place: Place<'_>) -> Result<Vec<String>, Diagnostic> {
        let mut items = Vec::new();
        for name in names {
            self.expand_one(name.get_ref(), 0, &mut items).map_err(|message| place.error(&name.span(), message))?;
        }
        Ok(items)
    }

    fn expand_one(&self, name: &str, depth: usize, into: &mut Vec<String>) -> Result<(), String> {
        let Some(list) = name.strip_prefix('@') else {
            into.push(name.to_owned());
            return Ok(());
        };
        if depth >= NESTING_MAX {
            return Err(format!("list `@{list}` names itself, or lists are nested deeper than {NESTING_MAX}"));
        }
        let items = self.lists.get(list).ok_or_else(|| self.unknown(list))?;
        items.iter().try_for_each(|item| self.expand_one(item, depth + 1, into))
    }

    /// The value of a setting, for `@name`.
    pub(super) fn setting(&self, name: &str) -> Result<&NumberValue, String> {
        self.settings.get(name).ok_or_else(|| {
            let hint = closest(name, self.settings.keys().map(String::as_str));
            let hint = hint.map(|name| format!("; did you mean `@{name}`?")).unwrap_or_default();
            format!(
                "no setting is called `@{name}`: expected a [[setting]] of that name in a file beside the rules{hint}"
            )
        })
    }

    fn unknown(&self, list: &str) -> String {
        let hint = closest(list, self.lists.keys().map(String::as_str));
        let hint = hint.map(|name| format!("; did you mean `@{name}`?")).unwrap_or_default();
        format!("no list is called `@{list}`: expected a [[list]] of that name in a file beside the rules{hint}")
    }
}
