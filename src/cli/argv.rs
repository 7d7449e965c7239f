//! A command as a person would type it: each word as it is passed, quoted where a shell would take it apart.
//!
//! For showing what will run. No shell ever runs it.

use std::borrow::Cow;

use super::printable;

/// The words on one line.
pub fn line<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word.as_ref())).collect();
    printable::line(&words.join(" ")).into_owned()
}

fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "_./:=@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        for (words, shown) in [
            (&["npx", "-y", "@a/b@1.0"][..], "npx -y @a/b@1.0"),
            (&["sh", "-c", "rm -rf ~; it's"], r"sh -c 'rm -rf ~; it'\''s'"),
            (&["", "a b", "${T}"], "'' 'a b' '${T}'"),
            (&["a\u{1b}[2J"], r"'a\u{1b}[2J'"),
        ] {
            assert_eq!(line(words), shown);
        }
    }
}
