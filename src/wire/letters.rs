//! Letters that a terminal obeys, or that nobody sees.
//!
//! One rule for all that shows foreign text. How such a letter is shown instead is its callers' business.

/// Controls of both sets, the two Unicode line ends, the marks that steer the direction of text, and the tags:
/// an alphabet without shapes.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
