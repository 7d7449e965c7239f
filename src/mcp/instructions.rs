//! One text of `instructions` out of many servers', within a budget.
//!
//! First an index that says how each server's names begin here, since every server's own text calls them
//! as they are there. Then the texts, each with a fair share: short ones whole, long ones cut where a
//! sentence or a line ends. Deterministic: equal input, equal bytes, so that prompt caches hold.

/// What one server has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speaker<'a> {
    /// What people call it: its key.
    pub key: &'a str,
    /// What its tools' and prompts' names begin with, separator included; empty if with nothing.
    pub front: &'a str,
    /// Empty if it has none.
    pub title: &'a str,
    pub instructions: Option<&'a str>,
}

/// The merged text, of `bytes_max` bytes at most. `None` if no server has any instructions, or if the
/// budget is too small for a single word of them.
///
/// The instructions of a run's only server are passed on without an index if its names have no prefix.
pub fn merge(speakers: &[Speaker<'_>], bytes_max: usize) -> Option<String> {
    let sections: Vec<Section<'_>> = speakers.iter().filter_map(Section::new).collect();
    if sections.is_empty() {
        return None;
    }
    if let ([Speaker { front: "", .. }], [section]) = (speakers, sections.as_slice()) {
        return cut(section.text, bytes_max);
    }
    let mut merged = index(speakers, bytes_max / 2);
    let mut said = false;
    for section in shares(sections, bytes_max.saturating_sub(merged.len())) {
        if let Some(text) = cut(section.text, section.share) {
            merged.push_str(&section.heading);
            merged.push_str(&text);
            said = true;
        }
    }
    (said && merged.len() <= bytes_max).then_some(merged)
}

/// One server's text under its heading.
struct Section<'a> {
    heading: String,
    text: &'a str,
    /// Bytes for the text, without the heading.
    share: usize,
}

impl<'a> Section<'a> {
    fn new(speaker: &Speaker<'a>) -> Option<Self> {
        let text = speaker.instructions?.trim();
        let heading = format!("\n\n## {}\n", one_line(speaker.key));
        (!text.is_empty()).then_some(Self { heading, text, share: 0 })
    }
}

/// A line for each server, as far as `bytes_max` goes, and a hint.
fn index(speakers: &[Speaker<'_>], bytes_max: usize) -> String {
    let mut index = INTRODUCTION.to_owned();
    for (place, speaker) in speakers.iter().enumerate() {
        let mut line = format!("\n- {}", one_line(speaker.key));
        if !speaker.title.trim().is_empty() && speaker.title != speaker.key {
            line += &format!(" ({})", one_line(speaker.title));
        }
        if !speaker.front.is_empty() {
            line += &format!(": {}*", speaker.front);
        }
        let left = speakers.len() - place;
        let more = format!("\n- and {left} more");
        // Without room for what follows the last line, that line must be the one that says so.
        let reserve = if left > 1 { more.len() } else { 0 };
        if index.len() + line.len() + reserve > bytes_max {
            index += &more;
            break;
        }
        index += &line;
    }
    index
}

/// Gives every section its share of `bytes`: what one does not need goes to the others. Where the
/// shares would be too small to say anything, the last servers go without.
fn shares(mut sections: Vec<Section<'_>>, bytes: usize) -> Vec<Section<'_>> {
    let cost = |section: &Section<'_>| section.heading.len() + section.text.len().min(SHARE_BYTES_MIN);
    while sections.iter().map(cost).sum::<usize>() > bytes {
        sections.pop();
    }
    let mut left = bytes.saturating_sub(sections.iter().map(|section| section.heading.len()).sum());
    let mut by_length: Vec<&mut Section<'_>> = sections.iter_mut().collect();
    by_length.sort_by_key(|section| section.text.len());
    let mut waiting = by_length.len();
    for section in by_length {
        section.share = section.text.len().min(left / waiting.max(1));
        left -= section.share;
        waiting -= 1;
    }
    sections
}

/// As much of `text` as fits, with an ellipsis if it is not all. `None` if nothing does.
fn cut(text: &str, bytes_max: usize) -> Option<String> {
    let text = text.trim();
    if text.len() <= bytes_max {
        return Some(text.to_owned());
    }
    let mut end = bytes_max.checked_sub(ELLIPSIS.len())?;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = text.get(..end)?;
    // A better place is worth at most half of the share.
    let late = |at: &usize| *at >= end / 2;
    let mut sentences = head.rmatch_indices(['.', '!', '?']).map(|(at, sign)| at + sign.len());
    let ends = |at: &usize| text.get(*at..).is_some_and(|rest| rest.starts_with(char::is_whitespace));
    let line = head.rfind('\n').filter(late);
    let sentence = sentences.find(ends).filter(late);
    let word = head.rfind(char::is_whitespace).filter(late);
    let head = head.get(..line.max(sentence).or(word).unwrap_or(end))?.trim_end();
    (!head.is_empty()).then(|| format!("{head}{ELLIPSIS}"))
}

/// A name as one short line, whatever it is.
fn one_line(text: &str) -> String {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    text.trim().chars().take(LINE_CHARS_MAX).map(plain).collect()
}

const INTRODUCTION: &str =
    "Several servers in one. Each one's text below uses its own names; here they begin as in this list:";
const ELLIPSIS: &str = " …";
/// Less than this of a long text says nothing.
const SHARE_BYTES_MIN: usize = 64;
/// Of a key or title.
const LINE_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn speaker<'a>(key: &'a str, front: &'a str, text: &'a str) -> Speaker<'a> {
        Speaker { key, front, title: "", instructions: Some(text) }
    }

    #[test]
    fn an_index_stands_before_the_texts() {
        let github = Speaker { title: "GitHub", ..speaker("github", "github__", "Use search first.\n") };
        let files = Speaker { instructions: None, ..speaker("files", "files__", "") };
        let notes = speaker("notes", "", "Notes are kept for ever.");
        assert_eq!(
            merge(&[github, files, notes], 2048).unwrap(),
            "Several servers in one. Each one's text below uses its own names; here they begin as in this list:\n\
             - github (GitHub): github__*\n\
             - files: files__*\n\
             - notes\n\n\
             ## github\n\
             Use search first.\n\n\
             ## notes\n\
             Notes are kept for ever."
        );
    }

    #[test]
    fn without_any_instructions_there_are_none() {
        let silent = Speaker { instructions: None, ..speaker("a", "a__", "") };
        assert_eq!(merge(&[silent, speaker("b", "b__", " \n")], 2048), None);
        assert_eq!(merge(&[], 2048), None);
    }

    #[test]
    fn the_only_server_without_a_prefix_speaks_for_itself() {
        assert_eq!(merge(&[speaker("a", "", "Be brief.")], 2048).unwrap(), "Be brief.");
        assert_eq!(merge(&[speaker("a", "", "Be brief. Be kind.")], 14).unwrap(), "Be brief. …");
    }

    #[test]
    fn what_a_short_text_leaves_goes_to_the_long_ones() {
        let (short, long) = ("Short.", "Long sentence. ".repeat(200));
        let speakers = [speaker("a", "a__", &long), speaker("b", "b__", short), speaker("c", "c__", &long)];
        let merged = merge(&speakers, 2048).unwrap();
        assert!(merged.contains("\n\n## b\nShort.\n\n"));
        assert!(merged.len() > 2048 - 64 && merged.len() <= 2048, "{}", merged.len());
        let lengths: Vec<_> = merged.split("\n\n## ").map(str::len).collect();
        assert!(lengths[1].abs_diff(lengths[3]) < 3);
    }

    #[test]
    fn a_long_text_is_cut_where_a_line_or_sentence_or_word_or_character_ends() {
        for (text, bytes_max, expected) in [
            ("One two. Three four", 16, "One two. …"),
            ("One two\nthree four", 16, "One two …"),
            ("One. Two\nthree four", 18, "One. Two …"),
            ("One two three four", 16, "One two …"),
            ("v1.2.3.4.5.6 seven", 14, "v1.2.3.4.5 …"),
            ("ééééééééééé", 13, "éééé …"),
        ] {
            assert_eq!(cut(text, bytes_max).as_deref(), Some(expected));
        }
        assert_eq!(cut("ééé", 5), None);
        assert_eq!(cut("abc", 0), None);
    }

    #[test]
    fn very_many_servers_are_counted_and_not_listed() {
        let keys: Vec<String> = (0..200).map(|n| format!("server{n}")).collect();
        let speakers: Vec<_> = keys.iter().map(|key| speaker(key, "x__", "Some text.")).collect();
        let merged = merge(&speakers, 1024).unwrap();
        assert!(merged.contains("\n- server0: x__*\n") && merged.contains(" more\n\n## server0\nSome text."));
        assert!(merged.len() <= 1024);
        assert_eq!(merge(&speakers, 120), None);
    }

    #[test]
    fn a_key_or_title_is_one_line() {
        let odd = Speaker { title: "x\n## y", ..speaker("a\nb", "a_b__", "Text.") };
        let merged = merge(&[odd], 2048).unwrap();
        assert!(merged.contains("\n- a b (x ## y): a_b__*\n\n## a b\nText."));
    }

    proptest! {
        #[test]
        fn the_budget_always_holds(
            texts in prop::collection::vec(("\\PC{0,80}", "[a-z]{0,8}", proptest::option::of("(\\PC|[ .\n]){0,400}")), 0..12),
            bytes_max in 0_usize..3000,
        ) {
            let speakers: Vec<_> = texts
                .iter()
                .map(|(key, front, text)| Speaker { key, front, title: key, instructions: text.as_deref() })
                .collect();
            let merged = merge(&speakers, bytes_max);
            prop_assert_eq!(&merged, &merge(&speakers, bytes_max));
            prop_assert!(merged.is_none_or(|text| text.len() <= bytes_max));
        }
    }
}
