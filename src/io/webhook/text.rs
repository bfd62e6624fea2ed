//! What strangers wrote, made fit to be shown to a person at another service.

/// Stands where a text was cut.
const CUT: char = '…';
/// Stands for a character that is not shown: it would hide or turn round what stands next to it.
const HIDDEN: char = '\u{fffd}';

/// At most `chars_max` characters on one line; control characters become spaces, and those that hide or
/// reorder text become visible.
pub(super) fn shown(text: &str, chars_max: usize) -> String {
    cut(text.chars().map(visible), chars_max, |_| 1)
}

/// The same with `&`, `<` and `>` as Slack wants them, so that nothing in it is a link or a mention. The
/// limit is on what comes out, and no escape is cut through.
pub(super) fn shown_in_slack(text: &str, chars_max: usize) -> String {
    let escaped = |c: char| match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        _ => "",
    };
    let length = |c: char| escaped(c).len().max(1);
    let short = cut(text.chars().map(visible), chars_max, length);
    short.chars().fold(String::with_capacity(short.len()), |mut out, c| {
        match escaped(c) {
            "" => out.push(c),
            escape => out.push_str(escape),
        }
        out
    })
}

fn cut(chars: impl Iterator<Item = char> + Clone, max: usize, length: impl Fn(char) -> usize) -> String {
    if chars.clone().map(&length).sum::<usize>() <= max {
        return chars.collect();
    }
    let mut left = max.saturating_sub(1);
    let fits = chars.take_while(|c| {
        let fits = length(*c) <= left;
        left = left.saturating_sub(length(*c));
        fits
    });
    fits.chain([CUT]).collect()
}

fn visible(c: char) -> char {
    match c {
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => HIDDEN,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' => HIDDEN,
        '\u{2028}' | '\u{2029}' => ' ',
        _ if c.is_control() => ' ',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_one_line_visible_and_cut() {
        let rows = [
            ("a\nb\tc\u{1}", 9, "a b c "),
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("\u{202e}evil\u{200b}", 9, "\u{fffd}evil\u{fffd}"),
            ("tag\u{e0041}", 9, "tag\u{fffd}"),
            ("ü€😀", 3, "ü€😀"),
            ("", 3, ""),
        ];
        for (text, max, expected) in rows {
            assert_eq!(shown(text, max), expected);
        }
    }

    #[test]
    fn mentions_links_and_entities_are_only_text_in_slack() {
        let rows = [
            ("<!channel> & <@U1>", 99, "&lt;!channel&gt; &amp; &lt;@U1&gt;"),
            ("<https://a.example|safe>", 99, "&lt;https://a.example|safe&gt;"),
            ("&lt;", 99, "&amp;lt;"),
            ("ab<", 6, "ab&lt;"),
            ("ab<", 5, "ab…"),
        ];
        for (text, max, expected) in rows {
            assert_eq!(shown_in_slack(text, max), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_its_limit_or_escapes(text in "[\\PC<>&]{0,60}", max in 1_usize..80) {
            prop_assert!(shown(&text, max).chars().count() <= max);
            let slack = shown_in_slack(&text, max);
            prop_assert!(slack.chars().count() <= max && !slack.contains(['<', '>']), "{}", slack);
            let plain = slack.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!plain.contains('&'), "{}", slack);
        }
    }
}
